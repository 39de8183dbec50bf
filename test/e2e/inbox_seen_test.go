package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httputil"
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
		protocols h1 h2c
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

	// However the request came.
	for name, send := range map[string]func(*testing.T, *http.Request) testbed.Response{
		"HTTP/1.1": func(t *testing.T, r *http.Request) testbed.Response { return testbed.Do(t, r) },
		"in chunks, with a trailer": func(t *testing.T, r *http.Request) testbed.Response {
			r.Trailer = http.Header{"X-Late": {"late"}}
			return testbed.Do(t, chunked(r))
		},
		"HTTP/2": func(t *testing.T, r *http.Request) testbed.Response {
			resp, err := http2Client(t).Do(r)
			if err != nil || resp.ProtoMajor != 2 {
				t.Fatal(resp, err)
			}
			defer func() { _ = resp.Body.Close() }()
			return testbed.Response{Status: resp.StatusCode, Guard: resp.Header.Get("Webhook-Guard")}
		},
		"HTTP/1.0, without a host": func(t *testing.T, r *http.Request) testbed.Response {
			text, err := httputil.DumpRequestOut(r, true)
			if err != nil {
				t.Fatal(err)
			}
			text = bytes.Replace(text, []byte(" HTTP/1.1\r\nHost: "+r.URL.Host), []byte(" HTTP/1.0"), 1)
			conn := dial(t, r)
			say(t, conn, string(text))
			return hear(t, conn)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := testbed.Event{}.Fill()
			for _, test := range []struct{ path, result string }{{"/direct", "forwarded"}, {"/inbox", "accepted"}} {
				r := sender.Request(t, g.URL(test.path), e)
				r.URL.RawQuery = "a=b"
				for name, value := range map[string]string{
					"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "hooks.example.com", "Accept-Encoding": "gzip",
				} {
					r.Header.Set(name, value)
				}
				before := app.Count()
				want(t, send(t, r), 200, test.result)
				app.WaitCount(before + 1)
			}
			of := deliveriesOf(app, e)
			wantTheSame(t, of[0], of[1], string(sender.Body(e)))
		})
	}
}

// wantTheSame compares what an app got of an event without an inbox and through one.
func wantTheSame(t *testing.T, direct, kept testbed.Delivery, body string) {
	t.Helper()
	for name, text := range map[string]string{
		"X-Forwarded-For": "203.0.113.9, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "hooks.example.com",
		"X-Seen-Client": "203.0.113.9", "X-Seen-Body": body, "X-Seen-Query": "b", "X-Seen-Stopping": "false",
	} {
		if got := direct.Header.Get(name); got != text {
			t.Errorf("without an inbox the app got %s: %q, want %q", name, got, text)
		}
	}
	// The guards have scopes of their own, attempts are those of an inbox, and so are its answers.
	// An attempt is HTTP/1.1, whatever the request was.
	own := func(h http.Header) http.Header {
		h = maps.Clone(h)
		h.Del("Webhook-Guard-Scope")
		h.Del("Webhook-Guard-Attempt")
		h.Del("Accept-Encoding")
		h.Del("Via")
		return h
	}
	if got, want := fmt.Sprint(own(kept.Header)), fmt.Sprint(own(direct.Header)); got != want {
		t.Errorf("through the inbox the app got\n%s\nand without it\n%s", got, want)
	}
	if kept.Method != direct.Method || kept.URL != direct.URL || kept.Host != direct.Host || string(kept.Body) != string(direct.Body) || len(kept.Trailer) != len(direct.Trailer) {
		t.Errorf("through the inbox the app got %s %s at %s, without it %s %s at %s", kept.Method, kept.URL, kept.Host, direct.Method, direct.URL, direct.Host)
	}
}
