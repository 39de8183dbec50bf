package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// An app gets the same request through an inbox as without one, whatever its proxy makes of
// what it knows of the request: a trusted proxy before the gateway, a named route, the body.
func TestAnAppSeesTheSameThroughAnInbox(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	sender := testbed.DocRouter()
	guard := func(path, scope, behind string) string {
		return fmt.Sprintf("handle_path /%s/* {\n\twebhook_guard %s {\n\t\tsecret %s\n\t\tscope %s\n\t\t%s\n}\n", path, sender.Name, sender.Secret, scope, behind)
	}
	g := testbed.StartGateway(t, fmt.Sprintf(`{
	admin 127.0.0.1:{$ADMIN}
	servers {
		trusted_proxies static 127.0.0.0/8
	}
	webhook_guard {
		store disk %s
	}
}
&(app) {
	reverse_proxy %s {
		header_up X-Seen-Client {client_ip}
		header_up X-Seen-Body {http.request.body}
		header_up X-Seen-Base64 {http.request.body_base64}
		header_up X-Seen-Query {query.a}
		header_up X-Seen-Stopping {http.shutting_down}
	}
}
http://:{$PORT} {
	%s
	%s
	error 500
}
`, t.TempDir(), app.Addr(), guard("direct", "direct", "}\n\tinvoke app"), guard("inbox", "inbox", "inbox {\n\t\t\tdeliver {\n\t\t\t\tinvoke app\n\t\t\t}\n\t\t}\n\t}")))

	e := testbed.Event{}.Fill()
	for i, test := range []struct{ path, result string }{{"/direct", "forwarded"}, {"/inbox", "accepted"}} {
		r := sender.Request(t, g.URL(test.path), e)
		r.URL.RawQuery = "a=b"
		for name, value := range map[string]string{
			"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "hooks.example.com", "Accept-Encoding": "gzip",
		} {
			r.Header.Set(name, value)
		}
		want(t, testbed.Do(t, r), 200, test.result)
		app.WaitCount(i + 1)
	}
	direct, kept := app.Deliveries()[0], app.Deliveries()[1]
	for name, text := range map[string]string{
		"X-Forwarded-For": "203.0.113.9, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "hooks.example.com",
		"X-Seen-Client": "203.0.113.9", "X-Seen-Body": string(sender.Body(e)), "X-Seen-Query": "b", "X-Seen-Stopping": "false",
	} {
		if got := direct.Header.Get(name); got != text {
			t.Errorf("without an inbox the app got %s: %q, want %q", name, got, text)
		}
	}
	// The guards have scopes of their own, attempts are those of an inbox, and so are its answers.
	own := func(h http.Header) http.Header {
		h = maps.Clone(h)
		h.Del("Webhook-Guard-Scope")
		h.Del("Webhook-Guard-Attempt")
		h.Del("Accept-Encoding")
		return h
	}
	if got, want := fmt.Sprint(own(kept.Header)), fmt.Sprint(own(direct.Header)); got != want {
		t.Errorf("through the inbox the app got\n%s\nand without it\n%s", got, want)
	}
	if kept.Method != direct.Method || kept.URL != direct.URL || kept.Host != direct.Host || string(kept.Body) != string(direct.Body) {
		t.Errorf("through the inbox the app got %s %s at %s, without it %s %s at %s", kept.Method, kept.URL, kept.Host, direct.Method, direct.URL, direct.Host)
	}
}
