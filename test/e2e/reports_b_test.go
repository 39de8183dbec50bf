package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// URLs that are signed, as strangers reported them. The requests are signed here as the
// senders' documentation says, from the URL that is registered with them, and not by the
// gateway's own code.

// hook is a request to the gateway, whatever URL its sender has registered.
type hook struct {
	path, host, forwardedHost string
	body, contentType         string
	signature                 string // "Header: value", several with a line break
}

func (h hook) send(t *testing.T, g *testbed.Gateway) testbed.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, g.URL(h.path), strings.NewReader(h.body))
	if err != nil {
		t.Fatal(err)
	}
	if h.host != "" {
		req.Host = h.host
	}
	if h.forwardedHost != "" {
		req.Header.Set("X-Forwarded-Host", h.forwardedHost)
		req.Header.Set("X-Forwarded-Proto", "HTTPS")
	}
	req.Header.Set("Content-Type", h.contentType)
	for _, line := range strings.Split(h.signature, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	return testbed.Do(t, req)
}

func mac256(text string) string { return base64.StdEncoding.EncodeToString(sum256(text)) }

const formBody = "application/x-www-form-urlencoded"

// twilioForm is a form from Twilio, signed for a URL.
func twilioForm(registered, sid string) hook {
	return hook{body: "MessageSid=" + sid + "&SmsStatus=sent", contentType: formBody,
		signature: "X-Twilio-Signature: " + sum1(registered+"MessageSid"+sid+"SmsStatussent")}
}

// twilioJSON is JSON from Twilio, whose digest is in the query of the URL.
func twilioJSON(registered, body string) (query string, h hook) {
	sum := sha256.Sum256([]byte(body))
	query = "?bodySHA256=" + hex.EncodeToString(sum[:])
	return query, hook{body: body, contentType: "application/json", signature: "X-Twilio-Signature: " + sum1(registered+query)}
}

func squareEvent(registered, id string) hook {
	body := `{"event_id":"` + id + `","type":"payment.updated"}`
	return hook{body: body, contentType: "application/json", signature: "X-Square-Hmacsha256-Signature: " + mac256(registered+body)}
}

func mandrillEvents(registered, events string) hook {
	return hook{body: "mandrill_events=" + events, contentType: formBody, signature: "X-Mandrill-Signature: " + sum1(registered+"mandrill_events"+events)}
}

func trelloAction(registered, id string) hook {
	body := `{"action":{"id":"` + id + `","type":"updateCard"}}`
	return hook{body: body, contentType: "application/json", signature: "X-Trello-Webhook: " + sum1(body+registered)}
}

func plivoCall(registered, nonce string) hook {
	base, _, _ := strings.Cut(registered, "?")
	return hook{body: "CallUUID=c1", contentType: formBody,
		signature: "X-Plivo-Signature-V2: " + mac256(base+nonce) + "\nX-Plivo-Signature-V2-Nonce: " + nonce}
}

// at is where a request is sent to.
func (h hook) at(path, host, forwardedHost string) hook {
	h.path, h.host, h.forwardedHost = path, host, forwardedHost
	return h
}

func TestURLsAreSignedAsTheyWereRegistered(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	guard := func(path, provider string, lines ...string) string {
		return fmt.Sprintf("\thandle %s {\n\t\twebhook_guard %s {\n\t\t\tsecret %s\n\t\t\tscope %s\n\t\t\t%s\n\t\t}\n\t\t%s\n\t}\n",
			path, provider, reportSecret, strings.Trim(strings.ReplaceAll(path, "/", "-"), "-*")+".", strings.Join(lines, "\n\t\t\t"), proxy(app))
	}
	g := testbed.StartGateway(t, site{store: "memory", global: "servers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}",
		routes: "\tmap {host} {registered} {\n\t\ta.internal https://a.example\n\t\tb.internal https://user:pass@b.example/hooks\n\t\tbroken.internal {env.REPORT_EMPTY}\n\t}\n" +
			guard("/path", "twilio", "public_url https://hooks.example.com/voice") +
			guard("/slash", "square", "public_url https://hooks.example.com/") +
			guard("/credentials", "mandrill", "public_url https://user:pass@hooks.example.com/credentials") +
			guard("/fragment", "twilio", "public_url https://hooks.example.com/fragment#rc=2&rp=all") +
			guard("/port", "trello") +
			guard("/upper", "trello", "public_url https://Hooks.Example.com") +
			guard("/env", "square", "public_url https://{env.REPORT_HOST}/env") +
			guard("/tenant/*", "square", "public_url {registered}") +
			guard("/nowhere", "square", "public_url {nothing.of.the.kind}") +
			guard("/", "plivo-v2")}.caddyfile(), testbed.WithEnv("REPORT_HOST=env.example"))

	query, digest := twilioJSON("https://hooks.example.com/voice", `{"a":1}`)
	const mail = "[1]"
	for _, tc := range []struct {
		name   string
		hook   hook
		result string
	}{
		{"a path and the request's query", twilioForm("https://hooks.example.com/voice?order=1", "SM1").at("/path?order=1", "", ""), "forwarded"},
		{"a path and another query", twilioForm("https://hooks.example.com/voice?order=1", "SM2").at("/path?order=2", "", ""), "signature_invalid"},
		{"a path and a digest in the query", digest.at("/path"+query, "", ""), "forwarded"},
		{"a path and no query", twilioForm("https://hooks.example.com/voice", "SM3").at("/path", "", ""), "forwarded"},
		{"a slash at the end", squareEvent("https://hooks.example.com/slash", "e1").at("/slash", "", ""), "forwarded"},
		{"a slash at the end, and a query", squareEvent("https://hooks.example.com/slash?a=%20", "e2").at("/slash?a=%20", "", ""), "forwarded"},
		{"credentials", mandrillEvents("https://user:pass@hooks.example.com/credentials", mail).at("/credentials", "", ""), "forwarded"},
		{"a fragment", twilioForm("https://hooks.example.com/fragment", "SM4").at("/fragment", "", ""), "forwarded"},
		{"the port in Host", trelloAction("http://hooks.example.com/port", "a1").at("/port", "hooks.example.com:80", ""), "forwarded"},
		{"the port in the registered URL", trelloAction("http://hooks.example.com:80/port", "a2").at("/port", "hooks.example.com", ""), "forwarded"},
		{"the port in X-Forwarded-Host", trelloAction("https://hooks.example.com/port", "a3").at("/port", "", "hooks.example.com:443"), "forwarded"},
		{"the port in the URL, not in X-Forwarded-Host", trelloAction("https://hooks.example.com:443/port", "a4").at("/port", "", "hooks.example.com"), "forwarded"},
		{"the other scheme's port", trelloAction("https://hooks.example.com/port", "a5").at("/port", "", "hooks.example.com:80"), "signature_invalid"},
		{"a host in upper case", trelloAction("https://hooks.example.com/port", "a6").at("/port", "", "Hooks.Example.COM:443"), "forwarded"},
		{"a host in upper case, registered and sent", trelloAction("https://Hooks.Example.COM/port", "a8").at("/port", "", "Hooks.Example.COM"), "forwarded"},
		{"a host in upper case, registered alone", trelloAction("https://Hooks.Example.com/upper?a=B", "a9").at("/upper?a=B", "hooks.example.com", ""), "forwarded"},
		{"a host that is not in ASCII", trelloAction("https://bücher.example/port", "a10").at("/port", "", "xn--bcher-kva.example"), "forwarded"},
		{"IPv6", trelloAction("https://[2001:db8::1]/port", "a7").at("/port", "", "[2001:db8::1]:443"), "forwarded"},
		{"no path", plivoCall("https://hooks.example.com", "n1").at("/", "", "hooks.example.com"), "forwarded"},
		{"no path, with a query", plivoCall("https://hooks.example.com?a=1", "n2").at("/?a=1", "", "hooks.example.com"), "forwarded"},
		{"a slash for a path", plivoCall("https://hooks.example.com/", "n3").at("/", "", "hooks.example.com:443"), "forwarded"},
		{"a host of the environment", squareEvent("https://env.example/env", "e3").at("/env", "", ""), "forwarded"},
		{"a URL for each tenant", squareEvent("https://a.example/tenant/1", "e4").at("/tenant/1", "a.internal", ""), "forwarded"},
		{"a URL with credentials for each tenant", squareEvent("https://user:pass@b.example/hooks", "e5").at("/tenant/1", "b.internal", ""), "forwarded"},
		{"another tenant's URL", squareEvent("https://a.example/tenant/1", "e6").at("/tenant/1", "b.internal", ""), "signature_invalid"},
		{"a tenant without a URL", squareEvent("https://a.example/tenant/1", "e7").at("/tenant/1", "c.internal", ""), "misconfigured"},
		{"a tenant with an empty URL", squareEvent("https://a.example/tenant/1", "e8").at("/tenant/1", "broken.internal", ""), "misconfigured"},
		{"a placeholder that is none", squareEvent("https://a.example/nowhere", "e9").at("/nowhere", "", ""), "misconfigured"},
		{"captured, and sent to another spelling", plivoCall("https://hooks.example.com", "n1").at("/", "", "HOOKS.example.com:443"), "duplicate"},
	} {
		if resp := tc.hook.send(t, g); resp.Guard != tc.result {
			t.Errorf("%s: %d %s, want %s", tc.name, resp.Status, resp.Guard, tc.result)
		}
	}
}

// The command line signs and judges what the guard's public_url says.
func TestTheCommandLineSignsThePublicURL(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	config := site{store: "memory", routes: fmt.Sprintf(
		"\thandle /in {\n\t\twebhook_guard square {\n\t\t\tsecret %s\n\t\t\tpublic_url https://user:canary@{env.REPORT_HOST}/hooks/in\n\t\t}\n\t\t%s\n\t}\n", reportSecret, proxy(app))}.caddyfile()
	g := testbed.StartGateway(t, config, testbed.WithEnv("REPORT_HOST=hooks.example.com"))
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := cli{env: []string{"REPORT_HOST=hooks.example.com", "PORT=1", "ADMIN=2"}}
	out := c.wantRun(t, 0, "200 forwarded", "send", "square", g.URL("/in?order=1"), "--config", file)
	h := squareEvent("https://user:canary@hooks.example.com/hooks/in?order=1", "e1")
	c.stdin = "POST /in?order=1 HTTP/1.1\nHost: 10.0.0.1\n" + h.signature + "\n\n" + h.body
	out += c.wantRun(t, 0, "The request verifies.", "explain", "square", "--config", file, "-")
	c.stdin = strings.Replace(c.stdin, "order=1", "order=2", 1)
	out += c.wantRun(t, 1, "does not verify", "explain", "square", "--config", file, "-")
	if strings.Contains(out, "canary") {
		t.Errorf("the password of the URL is printed:\n%s", out)
	}
}

// The vector of Plivo's documentation is of a URL without a path.
func TestPlivoSignsAURLWithoutAPath(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	for _, line := range []string{"", "public_url https://answer.url", "public_url https://answer.url/"} {
		g := site{store: "memory", global: "servers {\n\t\ttrusted_proxies static 127.0.0.0/8\n\t}",
			routes: fmt.Sprintf("\twebhook_guard plivo-v2 {\n\t\tsecret my_auth_token\n\t\t%s\n\t}\n\t%s\n", line, proxy(app))}.start(t)
		h := hook{path: "/", forwardedHost: "answer.url", contentType: formBody,
			signature: "X-Plivo-Signature-V2: ehV3IKhLysWBxC1sy8INm0qGoQYdYsHwuoKjsX7FsXc=\nX-Plivo-Signature-V2-Nonce: 12345"}
		if resp := h.send(t, g); resp.Guard != "forwarded" {
			t.Errorf("%q: %d %s", line, resp.Status, resp.Guard)
		}
	}
}
