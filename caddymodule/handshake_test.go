package caddymodule

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/memory"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

const checkSecret = "hush-secret"

// checkMAC is what a sender, or its verifier, computes.
func checkMAC(algorithm func() hash.Hash, secret, text string) []byte {
	h := hmac.New(algorithm, []byte(secret))
	h.Write([]byte(text))
	return h.Sum(nil)
}

func checkHex(text string) string {
	return hex.EncodeToString(checkMAC(sha256.New, checkSecret, text))
}

// checkBench is a guard of a provider that signs its bodies, and the app behind.
type checkBench struct {
	guard  *Guard
	logs   *observer.ObservedLogs
	called int // how often the app was
}

func newCheckBench(words string, edit func(*Guard)) (*checkBench, error) {
	core, logs := observer.New(zapcore.DebugLevel)
	b := &checkBench{logs: logs, guard: &Guard{
		ProviderName: "acme",
		Secret:       []Secret{{Value: checkSecret}},
		metrics:      sharedMetrics(),
		logger:       zap.New(core),
		now:          time.Now,
	}}
	g := b.guard
	g.app = &App{metrics: g.metrics, Providers: map[string]config.Provider{"acme": {
		Signature: []signature.SignatureSpec{{Header: "X-Sig"}},
		ID:        sourcesOf("body id"), OptionalID: true,
	}}}
	g.app.store = newSharedStore(memory.New(memory.Options{}), "memory", g.metrics)
	g.Handshake = strings.Fields(words)
	if edit != nil {
		edit(g)
	}
	return b, g.provision()
}

// ask sends a request: header lines are separated by |, and sign signs the body.
func (b *checkBench) ask(method, target, headers, body string, sign bool) (*httptest.ResponseRecorder, error) {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for line := range strings.SplitSeq(headers, "|") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			r.Header.Add(name, value)
		}
	}
	if sign {
		r.Header.Set("X-Sig", checkHex(body))
	}
	w := httptest.NewRecorder()
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, &caddyhttp.Server{})
	err := b.guard.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		b.called++
		w.WriteHeader(http.StatusAccepted)
		return nil
	}))
	return w, err
}

// checkResult is the result of a request and its status, refused or not.
func checkResult(w *httptest.ResponseRecorder, err error) (string, int) {
	var refused caddyhttp.HandlerError
	if errors.As(err, &refused) {
		return w.Header().Get(headerResult), refused.StatusCode
	}
	return w.Header().Get(headerResult), w.Code
}

func TestHandshakeAnswers(t *testing.T) {
	t.Parallel()
	const (
		plain = "text/plain; charset=utf-8"
		json  = "application/json"
		graph = "Validation: Testing client application reachability for subscription Request-Id: 25460109-0e8b-4521-8090-dd691b407ed8"
	)
	crc := "sha256=" + base64.StdEncoding.EncodeToString(checkMAC(sha256.New, checkSecret, "M2RkODJk"))
	key := sha1.Sum([]byte(checkSecret))
	braintree := hex.EncodeToString(checkMAC(sha1.New, string(key[:]), "20f9f8ed05f77439fe95"))
	for _, c := range []struct {
		words, method, query, headers, body string
		signed                              bool
		status                              int
		contentType, answer, header         string // header as Name: value
	}{
		{"slack", "POST", "", "", `{"type":"url_verification","challenge":"3eZb"}`, true, 200, plain, "3eZb", ""},
		{"twitch", "POST", "", "Twitch-Eventsub-Message-Type: webhook_callback_verification", `{"challenge":"pog-champ"}`, true, 200, plain, "pog-champ", ""},
		{"front", "POST", "", "X-Front-Challenge: a1b2", `{"type":"sync"}`, true, 200, plain, "a1b2", ""},
		{"zoom", "POST", "", "", `{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8_A"}}`, true, 200, json,
			`{"plainToken":"qgg8_A","encryptedToken":"` + checkHex("qgg8_A") + `"}`, ""},
		{"smartcar", "POST", "", "", `{"eventType":"VERIFY","data":{"challenge":"c-1"}}`, true, 200, json, `{"challenge":"` + checkHex("c-1") + `"}`, ""},
		{"aws-sns", "POST", "", "", `{"Type":"UnsubscribeConfirmation"}`, true, 200, "", "", ""},
		{"tebex", "POST", "", "", `{"type":"validation.webhook","id":"2c11-1"}`, true, 200, json, `{"id":"2c11-1"}`, ""},
		{"discord", "POST", "", "", `{"type":1,"version":1}`, true, 200, json, `{"type":1}`, ""},
		{"discord", "POST", "", "", `{"type":0,"version":1}`, true, 204, json, "", ""},
		{"xero", "POST", "", "", `{"events":[],"entropy":"S0m3"}`, true, 200, "", "", ""},
		{"line", "POST", "", "", `{"destination":"U1","events":[]}`, true, 200, "", "", ""},
		{"asana", "POST", "", "", `{"events":[]}`, true, 200, "", "", ""},
		{"terraform", "POST", "", "", `{"notifications":[{"trigger":"verification"}]}`, true, 200, "", "", ""},
		{"monday", "POST", "", "", `{"challenge":"3eZb"}`, true, 200, json, `{"challenge":"3eZb"}`, ""},
		{"azure-event-grid", "POST", "", "Aeg-Event-Type: SubscriptionValidation",
			`[{"id":"1","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"512d38b6-c7b8"}}]`, true, 200, json, `{"validationResponse":"512d38b6-c7b8"}`, ""},
		{"azure-event-grid", "OPTIONS", "", "WebHook-Request-Origin: eventgrid.azure.net", "", false, 200, "", "", "WebHook-Allowed-Origin: eventgrid.azure.net|WebHook-Allowed-Rate: *|Allow: POST"},

		{"meta verify-me", "GET", "hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=1158201444", "", "", false, 200, plain, "1158201444", ""},
		{"strava verify-me", "GET", "hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=15f7", "", "", false, 200, json, `{"hub.challenge":"15f7"}`, ""},
		{"oura verify-me", "GET", "verification_token=verify-me&challenge=c1", "", "", false, 200, json, `{"challenge":"c1"}`, ""},

		{"x", "GET", "crc_token=M2RkODJk&nonce=1", "", "", false, 200, json, `{"response_token":"` + crc + `"}`, ""},
		{"linkedin", "GET", "challengeCode=890e-1", "", "", false, 200, json, `{"challengeCode":"890e-1","challengeResponse":"` + checkHex("890e-1") + `"}`, ""},
		{"braintree pub_key", "GET", "bt_challenge=20f9f8ed05f77439fe95", "", "", false, 200, plain, "pub_key|" + braintree, ""},
		{"dropbox", "GET", "challenge=abc", "", "", false, 200, plain, "abc", ""},
		{"nylas", "GET", "challenge=abc", "", "", false, 200, plain, "abc", ""},
		{"okta", "GET", "", "X-Okta-Verification-Challenge: abc", "", false, 200, json, `{"verification":"abc"}`, ""},
		{"microsoft-graph", "POST", "validationToken=" + strings.NewReplacer(" ", "+", ":", "%3a").Replace(graph), "", "", false, 200, plain, graph, ""},
		{"microsoft-sharepoint", "POST", "validationtoken=4b8f-1", "", "", false, 200, plain, "4b8f-1", ""},
		{"ringcentral", "POST", "", "Validation-Token: v-1", "", false, 200, "", "", "Validation-Token: v-1"},
		{"asana", "POST", "", "X-Hook-Secret: b5372", "{}", false, 200, "", "", "X-Hook-Secret: b5372"},
		{"clio", "POST", "", "X-Hook-Secret: b5372", "", false, 200, "", "", "X-Hook-Secret: b5372"},
		{"monday", "POST", "", "", `{"challenge":"3eZb"}`, false, 200, json, `{"challenge":"3eZb"}`, ""},
		{"woocommerce", "POST", "", "", "webhook_id=17", false, 200, "", "", ""},
		{"slack", "POST", "", "Content-Type: application/x-www-form-urlencoded", "ssl_check=1&token=old", false, 200, "", "", ""},
		{"slack", "GET", "ssl_check=1&token=old", "", "", false, 200, "", "", ""},
		{"exact-online", "POST", "", "", "", false, 200, "", "", ""},
		{"akeneo", "POST", "", "", "", true, 200, "", "", ""},
		{"bitbucket-server", "POST", "", "X-Event-Key: diagnostics:ping", `{"test":true}`, false, 200, "", "", ""},
		{"daily", "POST", "", "", `{"test":"test"}`, false, 200, "", "", ""},
		{"trello", "HEAD", "", "", "", false, 200, "", "", ""},
		{"mandrill", "HEAD", "", "", "", false, 200, "", "", ""},
		{"vercel 6ebf4087", "GET", "", "", "", false, 200, "", "", "X-Vercel-Verify: 6ebf4087"},
		{"vercel 6ebf4087", "POST", "", "", "{}", false, 200, "", "", "X-Vercel-Verify: 6ebf4087"},

		// The general kinds, of a provider of one's own.
		{"echo query challenge", "GET", "challenge=abc", "", "", false, 200, plain, "abc", ""},
		{"echo header X-Challenge", "GET", "", "X-Challenge: abc", "", false, 200, plain, "abc", ""},
		{"verify query token query challenge verify-me", "GET", "token=verify-me&challenge=abc", "", "", false, 200, plain, "abc", ""},
		{"head", "HEAD", "", "", "", false, 200, "", "", ""},
		{"cloudevents a.example", "OPTIONS", "", "WebHook-Request-Origin: a.example|WebHook-Request-Rate: 120", "", false, 200, "", "", "WebHook-Allowed-Origin: a.example|WebHook-Allowed-Rate: *|Allow: POST"},
		{"cloudevents a.example", "OPTIONS", "", "WebHook-Request-Origin: evil.example", "", false, 200, "", "", "WebHook-Allowed-Origin: a.example"},
	} {
		b, err := newCheckBench(c.words, func(g *Guard) {
			g.PublicURL = "https://hooks.example.com/registered?of=its+own"
			if c.words == "braintree pub_key" {
				g.Signed, g.SecretEncoding = []string{"{form.bt_payload}"}, "sha1"
			}
		})
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
			continue
		}
		w, err := b.ask(c.method, "/in?"+c.query, c.headers, c.body, c.signed)
		what := c.words + " " + c.method + " " + c.query
		if err != nil || w.Code != c.status || w.Body.String() != c.answer || w.Header().Get("Content-Type") != c.contentType {
			t.Errorf("%s: %v, %d %q %q, want %d %q %q", what, err, w.Code, w.Header().Get("Content-Type"), w.Body, c.status, c.contentType, c.answer)
		}
		if got := w.Header().Get(headerResult); got != "handshake" || b.called != 0 {
			t.Errorf("%s: result %q, the app was called %d times", what, got, b.called)
		}
		if sniff := w.Header().Get("X-Content-Type-Options"); (c.contentType != "") != (sniff == "nosniff") {
			t.Errorf("%s: X-Content-Type-Options %q", what, sniff)
		}
		for line := range strings.SplitSeq(c.header, "|") {
			if name, value, ok := strings.Cut(line, ": "); ok && w.Header().Get(name) != value {
				t.Errorf("%s: header %s is %q, want %q", what, name, w.Header().Get(name), value)
			}
		}
		for _, entry := range b.logs.All() {
			for _, secret := range []string{checkSecret, "verify-me", "b5372", c.answer} {
				if secret != "" && strings.Contains(entry.Message+entryText(entry), secret) {
					t.Errorf("%s: %q is logged: %v", what, secret, entry)
				}
			}
		}
		if b.logs.FilterMessage("answered the sender's check of the endpoint").Len() != 1 {
			t.Errorf("%s: is not logged once: %v", what, b.logs.All())
		}
	}
}

func entryText(entry observer.LoggedEntry) string {
	var b strings.Builder
	for _, field := range entry.Context {
		b.WriteString(field.String + " ")
	}
	return b.String()
}

func TestHandshakeRefusesAndForwards(t *testing.T) {
	t.Parallel()
	const slack = `{"type":"url_verification","challenge":"3eZb"}`
	long := strings.Repeat("a", 129)
	for _, c := range []struct {
		words, method, query, headers, body string
		signed                              bool
		status                              int
		result                              string
	}{
		// Signed checks: the signature comes first, and what is out of bounds is an event.
		{"slack", "POST", "", "", slack, false, 401, "signature_missing"},
		{"slack", "POST", "", "X-Sig: " + strings.Repeat("00", 32), slack, false, 401, "signature_invalid"},
		{"slack", "GET", "", "", slack, true, 405, "method_not_allowed"},
		{"slack", "POST", "", "", `{"type":"url_verification","challenge":"` + long + `"}`, true, 202, "forwarded"},
		{"slack", "POST", "", "", `{"type":"url_verification","challenge":"<b>"}`, true, 202, "forwarded"},
		{"slack", "POST", "", "", `{"type":"event_callback"}`, true, 202, "forwarded"},
		{"slack", "POST", "", "", "ssl_check=1&command=%2Fdeploy", false, 401, "signature_missing"},
		{"slack", "POST", "", "", "ssl_check=1&payload=%7B%7D", false, 401, "signature_missing"},
		{"slack", "POST", "", "", "ssl_check=0", false, 401, "signature_missing"},
		{"slack", "POST", "", "X-Sig: " + strings.Repeat("00", 32), "ssl_check=1", false, 401, "signature_invalid"},
		{"xero", "POST", "", "X-Sig: " + strings.Repeat("00", 32), `{"events":[]}`, false, 401, "signature_invalid"},
		{"xero", "POST", "", "", `{"events":[{}]}`, true, 202, "forwarded"},
		{"zoom", "POST", "", "", `{"event":"endpoint.url_validation","payload":{"plainToken":"a"}}`, false, 401, "signature_missing"},
		{"azure-event-grid", "POST", "", "Aeg-Event-Type: SubscriptionValidation",
			`[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"5"}}]`, false, 401, "signature_missing"},
		{"azure-event-grid", "OPTIONS", "", "WebHook-Request-Origin: evil.example", "", false, 405, "method_not_allowed"},

		// Tokens.
		{"meta verify-me", "GET", "hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1", "", "", false, 401, "token_invalid"},
		{"meta verify-me", "GET", "hub.mode=subscribe&hub.verify_token=verify-me&hub.verify_token=x&hub.challenge=1", "", "", false, 401, "token_invalid"},
		{"meta verify-me", "GET", "hub.mode=subscribe&hub.verify_token=&hub.challenge=1", "", "", false, 401, "token_missing"},
		{"meta verify-me", "GET", "hub.mode=subscribe&hub.challenge=1", "", "", false, 401, "token_missing"},
		{"meta verify-me", "GET", "hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=%3Cb%3E", "", "", false, 405, "method_not_allowed"},
		{"meta verify-me", "GET", "", "", "", false, 405, "method_not_allowed"},
		{"meta verify-me", "POST", "hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=1", "", `{"id":"1"}`, true, 202, "forwarded"},
		{"meta", "GET", "hub.mode=subscribe&hub.verify_token=&hub.challenge=1", "", "", false, 405, "method_not_allowed"},

		// Open checks: bounds, and no way round the signature.
		{"dropbox", "GET", "challenge=" + long, "", "", false, 405, "method_not_allowed"},
		{"dropbox", "GET", "challenge=%3Cscript%3E", "", "", false, 405, "method_not_allowed"},
		{"dropbox", "PUT", "challenge=abc", "", "", false, 405, "method_not_allowed"},
		{"dropbox", "POST", "challenge=abc", "", "{}", false, 401, "signature_missing"},
		{"microsoft-graph", "POST", "validationToken=%3Cb%3E", "", "", false, 401, "signature_missing"},
		{"microsoft-graph", "POST", "validationToken=" + strings.Repeat("a", 257), "", "", false, 401, "signature_missing"},
		{"microsoft-graph", "POST", "validationToken=a", "X-Sig: " + strings.Repeat("00", 32), "", false, 401, "signature_invalid"},
		{"asana", "POST", "", "X-Hook-Secret: b5372|X-Sig: " + strings.Repeat("00", 32), "{}", false, 401, "signature_invalid"},
		{"asana", "POST", "", "X-Hook-Secret: b5372", `{"events":[{}]}`, true, 202, "forwarded"},
		{"asana", "POST", "", "", `{"events":[]}`, false, 401, "signature_missing"},
		{"monday", "POST", "", "", `{"challenge":"` + strings.Repeat("a", maxCheck) + `"}`, false, 401, "signature_missing"},
		{"exact-online", "POST", "", "", `{"a":1}`, false, 401, "signature_missing"},
		{"akeneo", "POST", "", "", "", false, 401, "signature_missing"},
		{"bitbucket-server", "POST", "", "X-Event-Key: diagnostics:ping|X-Sig: " + strings.Repeat("00", 32), `{"test":true}`, false, 401, "signature_invalid"},
		{"bitbucket-server", "POST", "", "X-Event-Key: diagnostics:ping", `{"eventKey":"repo:refs_changed"}`, false, 401, "signature_missing"},
		{"bitbucket-server", "POST", "", "X-Event-Key: diagnostics:ping", `{"eventKey":"repo:refs_changed"}`, true, 202, "forwarded"},
		{"daily", "POST", "", "", `{"type":"recording.started"}`, false, 401, "signature_missing"},
		{"trello", "GET", "", "", "", false, 405, "method_not_allowed"},

		// The general kinds have the same bounds.
		{"echo query challenge", "GET", "challenge=" + long, "", "", false, 405, "method_not_allowed"},
		{"echo query challenge", "GET", "challenge=%3Cscript%3E", "", "", false, 405, "method_not_allowed"},
		{"echo query challenge", "GET", "challenge=a&challenge=b", "", "", false, 405, "method_not_allowed"},
		{"echo query challenge", "POST", "challenge=abc", "", "{}", false, 401, "signature_missing"},
		{"verify query token query challenge verify-me", "GET", "token=wrong&challenge=abc", "", "", false, 401, "token_invalid"},
		{"verify query token query challenge verify-me", "GET", "challenge=abc", "", "", false, 401, "token_missing"},
		{"verify query token query challenge verify-me", "GET", "token=verify-me&challenge=%3Cb%3E", "", "", false, 405, "method_not_allowed"},
		{"verify query token query challenge verify-me", "GET", "token=verify-me", "", "", false, 405, "method_not_allowed"},
		{"head", "GET", "", "", "", false, 405, "method_not_allowed"},

		// What is signed for anybody is no event's signature.
		{"x", "POST", "", "", "M2RkODJk", true, 401, "signature_invalid"},
		{"x", "POST", "", "", "123", true, 401, "signature_invalid"},
		{"x", "POST", "", "", `{"id":"1"}`, true, 202, "forwarded"},
		{"zoom", "POST", "", "", "123", true, 202, "forwarded"},

		// Left to the app, or unknown to the provider.
		{"off", "POST", "", "", slack, true, 202, "forwarded"},
		{"off", "GET", "challenge=abc", "", "", false, 405, "method_not_allowed"},
		{"", "POST", "", "", slack, true, 202, "forwarded"},
	} {
		b, err := newCheckBench(c.words, nil)
		if err != nil {
			t.Errorf("%s: %v", c.words, err)
			continue
		}
		result, status := checkResult(b.ask(c.method, "/in?"+c.query, c.headers, c.body, c.signed))
		if called := c.result == "forwarded"; result != c.result || status != c.status || (b.called == 1) != called {
			t.Errorf("%s %s ?%s %s %.80s: %d %s, the app called %d times, want %d %s",
				c.words, c.method, c.query, c.headers, c.body, status, result, b.called, c.status, c.result)
		}
	}
}

// A check takes part in the rotation of secrets: a signed one is answered with
// the secret that it was signed with, another with the first in force.
func TestHandshakeAnswersWithTheRightSecret(t *testing.T) {
	t.Parallel()
	past := time.Now().Add(-time.Hour)
	secrets := func(g *Guard) {
		g.Secret = []Secret{{Value: "over", Until: &past}, {Value: "new"}, {Value: checkSecret}}
	}
	b, err := newCheckBench("zoom", secrets)
	if err != nil {
		t.Fatal(err)
	}
	w, err := b.ask("POST", "/", "", `{"event":"endpoint.url_validation","payload":{"plainToken":"a"}}`, true)
	if err != nil || !strings.Contains(w.Body.String(), checkHex("a")) {
		t.Errorf("%v %q does not hold the MAC of the secret that the check was signed with", err, w.Body)
	}
	if b, err = newCheckBench("linkedin", secrets); err != nil {
		t.Fatal(err)
	}
	w, err = b.ask("GET", "/?challengeCode=a", "", "", false)
	if want := hex.EncodeToString(checkMAC(sha256.New, "new", "a")); err != nil || !strings.Contains(w.Body.String(), want) {
		t.Errorf("%v %q does not hold the MAC of the first secret in force", err, w.Body)
	}
}

func TestHandshakeProvision(t *testing.T) {
	t.Setenv("CHECK_VERIFY_TOKEN", "from-env")
	for _, c := range []struct {
		words string
		edit  func(*Guard)
		err   string
	}{
		{"nobody", nil, `handshake: unknown kind "nobody"`},
		{"slack x", nil, "handshake: slack takes no argument"},
		{"meta {env.CHECK_NOT_SET}", nil, "CHECK_NOT_SET"},
		{"zoom", func(g *Guard) { g.Token = "bearer" }, "no secret to sign with"},
		{"x", func(g *Guard) { g.Signed = []string{"{id}"} }, "does not sign its {body}"},
		{"okta", func(g *Guard) { g.Token = "bearer" }, ""},
		{"meta {env.CHECK_VERIFY_TOKEN}", nil, ""},
		{"meta", nil, ""},
	} {
		b, err := newCheckBench(c.words, c.edit)
		switch {
		case c.err == "" && err != nil:
			t.Errorf("%s: %v", c.words, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: error %v, want %q", c.words, err, c.err)
		}
		if c.words == "meta" && b.logs.FilterMessageSnippet("is not answered").Len() != 1 {
			t.Errorf("no warning that the check gets no reply: %v", b.logs.All())
		}
	}
	b, err := newCheckBench("meta {env.CHECK_VERIFY_TOKEN}", nil)
	if err != nil {
		t.Fatal(err)
	}
	if b.logs.FilterMessageSnippet("carries a secret").Len() != 1 {
		t.Errorf("no warning that Caddy logs the token: %v", b.logs.All())
	}
	if w, err := b.ask("GET", "/?hub.mode=subscribe&hub.verify_token=from-env&hub.challenge=1", "", "", false); err != nil || w.Body.String() != "1" {
		t.Errorf("%v, %q", err, w.Body)
	}
}
