package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// canaries are the bytes that no gateway may reveal, by their names.
type canaries map[string]string

func (c canaries) addSecret(name, secret string) {
	c["secret of "+name] = secret
	c["secret of "+name+" in base64"] = strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "=")
	c["secret of "+name+" in hex"] = hex.EncodeToString([]byte(secret))
}

// absent fails the test where a text contains one of them.
func (c canaries) absent(t *testing.T, where, text string) {
	t.Helper()
	for what, canary := range c {
		if at := strings.Index(text, canary); at >= 0 {
			t.Errorf("the %s holds the %s: …%s…", where, what, text[max(0, at-300):min(len(text), at+100)])
		}
	}
}

const bodyCanary = "unsayable-body-content"

// TestShippedConfigurationsLetNoSecretOut sends all kinds of requests through the
// shipped configurations, at the most verbose log level.
func TestShippedConfigurationsLetNoSecretOut(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	for name, path := range map[string]string{
		"make run": filepath.Join(root, "Caddyfile"),
		"flask":    filepath.Join(testbed.ExampleDir(t, "flask"), "Caddyfile"),
		"express":  filepath.Join(testbed.ExampleDir(t, "express"), "Caddyfile"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			// The first block without a name holds the global options.
			debug := strings.Replace(string(text), "\n{\n", "\n{\n\tdebug\n", 1)
			if debug == string(text) {
				t.Fatalf("%s has no global options", path)
			}
			app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
				if strings.Contains(string(d.Body), "fails") {
					return testbed.Answer{Status: 500, Body: []byte("the app failed")}
				}
				return testbed.Answer{}
			})
			redis := testbed.StartRedis(t)
			port, receiver := testbed.FreePort(t), app.Port()
			if name == "make run" {
				receiver = testbed.FreePort(t) // it is part of the gateway
			}
			g := testbed.StartGateway(t, debug, testbed.WithPort(port), testbed.WithEnv(append(testbed.SecretEnv(),
				"SITE_ADDRESS=:"+strconv.Itoa(port), "APP_PORT="+strconv.Itoa(app.Port()),
				"RECEIVER_PORT="+strconv.Itoa(receiver), "PAGE_PORT="+strconv.Itoa(testbed.FreePort(t)), "REDIS_URL="+redis.URL())...))

			secrets := canaries{"body": bodyCanary}
			for _, s := range testbed.Senders() {
				secrets.addSecret(s.Name, s.Secret)
			}
			forged := canaries{}
			results := make(map[string]int)
			send := func(req *http.Request) {
				resp := testbed.Do(t, req)
				results[resp.Guard]++
				answer := fmt.Sprint(resp.Header) + string(resp.Body)
				secrets.absent(t, "answer", answer)
				forged.absent(t, "answer", answer)
			}
			for _, s := range testbed.Senders() {
				for _, req := range manyRequests(t, s, g.URL(""), forged) {
					send(req)
				}
			}
			// The sender may miss the answer: the connection closes with most of its
			// body unread.
			large := append([]byte(bodyCanary), bytes.Repeat([]byte(" "), 11<<20)...)
			if resp, err := testbed.Try(testbed.Struktr().RequestWith(t, g.URL(""), large, testbed.Event{})); err == nil {
				secrets.absent(t, "answer", fmt.Sprint(resp))
			}
			testbed.Eventually(t, soon, func() bool {
				return metric(g, "webhook_guard_requests_total", "result", "body_too_large") == 1
			}, "the large body refused")
			for _, path := range []string{"/", "/webhooks/nobody", "/webhooks/okrapdf/more"} {
				req := testbed.OkraPDF().Request(t, g.URL(""), testbed.Event{})
				req.URL.Path = path
				send(req)
			}
			if name != "make run" {
				app.Stop()
				for _, s := range testbed.Senders() {
					send(withCanary(t, s, g.URL(""), testbed.Event{}))
				}
				redis.Stop()
				for _, s := range testbed.Senders() {
					send(withCanary(t, s, g.URL(""), testbed.Event{}))
				}
				wantSome(t, results, "upstream_failed", "store_unavailable")
			}
			wantSome(t, results, "forwarded", "duplicate", "signature_invalid", "signature_missing", "signature_malformed",
				"token_missing", "token_invalid", "timestamp_stale", "method_not_allowed", "")

			for _, path := range []string{"/metrics", "/config/", "/debug/vars", "/reverse_proxy/upstreams"} {
				resp, err := http.Get(g.AdminURL() + path)
				if err != nil {
					t.Fatal(err)
				}
				var body bytes.Buffer
				if _, err := body.ReadFrom(resp.Body); err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				secrets.absent(t, path, body.String())
				forged.absent(t, path, body.String())
			}
			if err := g.Stop(); err != nil {
				t.Errorf("the gateway ended badly: %v", err)
			}
			printed := g.Output()
			secrets.absent(t, "log", printed)
			forged.absent(t, "log", printed)
			for what, words := range map[string][]string{
				"debug log of the proxy":    {`"level":"debug"`, "upstream roundtrip"},
				"access log":                {"http.log.access", "handled request"},
				"URL without its token":     {"token=REDACTED"},
				"word of the guard's":       {"http.handlers.webhook_guard"},
				"verdict in the access log": {`"webhook_guard":{"result":"forwarded"`},
			} {
				if name == "make run" && what == "debug log of the proxy" {
					words = words[:1]
				}
				if !containsAll(printed, words...) {
					t.Errorf("there is no %s in the log, so this test proves little", what)
				}
			}
		})
	}
}

// withCanary is a genuine delivery with the canary in its body.
func withCanary(t *testing.T, s testbed.Sender, base string, e testbed.Event) *http.Request {
	t.Helper()
	e = e.Fill()
	return s.RequestWith(t, base, canaryBody(s, e), e)
}

func canaryBody(s testbed.Sender, e testbed.Event) []byte {
	return append(bytes.TrimSuffix(s.Body(e), []byte("}")), `,"note":"`+bodyCanary+`"}`...)
}

// manyRequests are good, bad and broken ones. The signatures that the guard would have
// expected are added to the canaries.
func manyRequests(t *testing.T, s testbed.Sender, base string, forged canaries) []*http.Request {
	t.Helper()
	e := testbed.Event{}.Fill()
	requests := []*http.Request{
		withCanary(t, s, base, e),
		withCanary(t, s, base, e), // a duplicate
		withCanary(t, s, base, testbed.Event{Type: "fails"}),
		withCanary(t, s, base, testbed.Event{Time: time.Now().Add(-300 * time.Hour), Sent: time.Now().Add(-300 * time.Hour)}),
		s.RequestWith(t, base, []byte(`{"broken":"`+bodyCanary), testbed.Event{}),
	}
	get := withCanary(t, s, base, testbed.Event{})
	get.Method = http.MethodPut
	requests = append(requests, get)
	change := func(what string, spoil func(req *http.Request)) {
		req := withCanary(t, s, base, testbed.Event{})
		if s.SignatureHeader != "" {
			expected := req.Header.Get(s.SignatureHeader)
			_, expected, _ = strings.Cut(expected, "=")
			forged["signature expected of "+s.Name+", "+what] = expected
			raw, err := hex.DecodeString(expected)
			if err != nil {
				t.Fatal(err)
			}
			forged["signature expected of "+s.Name+", "+what+", in base64"] = base64.RawStdEncoding.EncodeToString(raw)
		}
		spoil(req)
		requests = append(requests, req)
	}
	if s.SignatureHeader == "" {
		change("none", func(req *http.Request) { req.URL.RawQuery = "" })
		change("wrong", func(req *http.Request) { req.URL.RawQuery = "token=wrong" })
		change("nearly right", func(req *http.Request) { req.URL.RawQuery += "x" })
		change("twice", func(req *http.Request) { req.URL.RawQuery += "&" + req.URL.RawQuery })
		change("escaped", func(req *http.Request) { req.URL.RawQuery = "token=" + strings.ReplaceAll(s.Secret, "-", "%2D") })
		return requests
	}
	change("none", func(req *http.Request) { req.Header.Del(s.SignatureHeader) })
	change("empty", func(req *http.Request) { req.Header.Set(s.SignatureHeader, "") })
	change("wrong", func(req *http.Request) { req.Header.Set(s.SignatureHeader, "sha256="+strings.Repeat("0", 64)) })
	change("no hex", func(req *http.Request) { req.Header.Set(s.SignatureHeader, "sha256=zz") })
	change("twice", func(req *http.Request) {
		req.Header[http.CanonicalHeaderKey(s.SignatureHeader)] = []string{"sha256=00", "sha256=11"}
	})
	return requests
}

func wantSome(t *testing.T, results map[string]int, wanted ...string) {
	t.Helper()
	for _, result := range wanted {
		if results[result] == 0 {
			t.Errorf("no request came to %q, only to %v: this test proves little", result, results)
		}
	}
}
