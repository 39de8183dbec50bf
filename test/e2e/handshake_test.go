package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const (
	checkSecret = "hush-secret-of-the-sender"
	checkToken  = "hush-token-of-the-check"
)

// checkSite is a gateway with a route to the app for each sender whose checks are
// tested.
const checkSite = `{
	admin 127.0.0.1:{$ADMIN}
	metrics
	webhook_guard {
		store memory
		provider pinged {
			signature X-Signature sha256 hex
			signed    {timestamp}{body}
			timestamp header X-Timestamp unix
			id        body id
			handshake discord
		}
	}
}
(guarded) {
	handle /{args[0]} {
		webhook_guard {args[1]} {
			secret {env.CHECK_SECRET}
			scope {args[0]}
			{block}
		}
		reverse_proxy {env.APP}
	}
}
http://:{$PORT} {
	import guarded slack slack
	import guarded zoom zoom
	import guarded x twitter-x
	import guarded dropbox dropbox
	import guarded graph microsoft-graph
	import guarded okta okta-event-hooks
	import guarded xero xero
	import guarded twitch twitch
	import guarded asana asana
	import guarded trello trello
	import guarded monday monday
	import guarded exact exact-online
	import guarded ringcentral ringcentral
	import guarded akeneo akeneo
	import guarded bitbucket bitbucket-server
	import guarded daily daily {
		secret_encoding raw
	}
	import guarded strava strava {
		token query token
		handshake strava {env.CHECK_TOKEN}
	}
	import guarded discord pinged
	import guarded meta meta-facebook-whatsapp-instagram {
		handshake meta {env.CHECK_TOKEN}
	}
	import guarded braintree braintree {
		handshake braintree public_key
	}
	import guarded meta-unsaid meta-facebook-whatsapp-instagram
	import guarded slack-off slack {
		handshake off
	}
	import guarded dropbox-off dropbox {
		handshake off
	}
}
`

// check is a request with which a sender checks an endpoint, and the expected answer.
type check struct {
	path   string // with the query
	method string
	header map[string]string
	body   string

	status int
	result string
	kind   string // the answer's content type
	answer string
	want   map[string]string // headers of the answer
}

func checkMAC(algorithm func() hash.Hash, key, text string) []byte {
	h := hmac.New(algorithm, []byte(key))
	h.Write([]byte(text))
	return h.Sum(nil)
}

func (c check) send(t *testing.T, g *testbed.Gateway) testbed.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), c.method, g.URL(c.path), strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range c.header {
		req.Header.Set(name, value)
	}
	return testbed.Do(t, req)
}

func startChecks(t *testing.T) (*testbed.Gateway, *testbed.App) {
	t.Helper()
	app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
		return testbed.Answer{Status: http.StatusAccepted}
	})
	return testbed.StartGateway(t, checkSite, testbed.WithEnv(
		"APP="+app.Addr(), "CHECK_SECRET="+checkSecret, "CHECK_TOKEN="+checkToken)), app
}

// The senders' signatures, after their documentation.
func slackHeaders(body string, at time.Time) map[string]string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	return map[string]string{
		"X-Slack-Request-Timestamp": stamp,
		"X-Slack-Signature":         "v0=" + hex.EncodeToString(checkMAC(sha256.New, checkSecret, "v0:"+stamp+":"+body)),
	}
}

func zoomHeaders(body string) map[string]string {
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	return map[string]string{
		"x-zm-request-timestamp": stamp,
		"x-zm-signature":         "v0=" + hex.EncodeToString(checkMAC(sha256.New, checkSecret, "v0:"+stamp+":"+body)),
	}
}

func twitchHeaders(kind, body string) map[string]string {
	id, stamp := testbed.NewID(), time.Now().UTC().Format(time.RFC3339Nano)
	return map[string]string{
		"Twitch-Eventsub-Message-Type":      kind,
		"Twitch-Eventsub-Message-Id":        id,
		"Twitch-Eventsub-Message-Timestamp": stamp,
		"Twitch-Eventsub-Message-Signature": "sha256=" + hex.EncodeToString(checkMAC(sha256.New, checkSecret, id+stamp+body)),
	}
}

func pingedHeaders(body string) map[string]string {
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	return map[string]string{
		"X-Timestamp": stamp,
		"X-Signature": hex.EncodeToString(checkMAC(sha256.New, checkSecret, stamp+body)),
	}
}

func xeroHeaders(key, body string) map[string]string {
	return map[string]string{"x-xero-signature": base64.StdEncoding.EncodeToString(checkMAC(sha256.New, key, body))}
}

func akeneoHeaders(body string) map[string]string {
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	return map[string]string{
		"x-akeneo-request-timestamp": stamp,
		"x-akeneo-request-signature": hex.EncodeToString(checkMAC(sha256.New, checkSecret, stamp+"."+body)),
	}
}

func checksThatAreAnswered() []check {
	const (
		plain = "text/plain; charset=utf-8"
		json  = "application/json"

		slack      = `{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}`
		zoom       = `{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}`
		twitch     = `{"challenge":"pogchamp-kappa-360noscope-vohiyo","subscription":{"id":"f1c2a387","status":"webhook_callback_verification_pending","type":"channel.follow"}}`
		ping       = `{"application_id":"1","id":"2","token":"t","type":1,"user":{"id":"3"},"version":1}`
		xero       = `{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3r4Nd0mt3xt"}`
		crcToken   = "M2RkODJkZmMtYjlkYi00NmQ4LTk0MGUtM2JjYzkwM2Q4MjQ0"
		validation = "Validation: Testing client application reachability for subscription Request-Id: 25460109-0e8b-4521-8090-dd691b407ed8"
		hookSecret = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"
		bt         = "20f9f8ed05f77439fe955c977e4c8a53"
	)
	zoomMAC := hex.EncodeToString(checkMAC(sha256.New, checkSecret, "qgg8vlvZRS6UYooatFL8Aw"))
	crcMAC := base64.StdEncoding.EncodeToString(checkMAC(sha256.New, checkSecret, crcToken))
	btKey := sha1.Sum([]byte(checkSecret))
	btMAC := hex.EncodeToString(checkMAC(sha1.New, string(btKey[:]), bt))
	return []check{
		{path: "/slack", method: "POST", header: slackHeaders(slack, time.Now()), body: slack,
			kind: plain, answer: "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"},
		{path: "/zoom", method: "POST", header: zoomHeaders(zoom), body: zoom,
			kind: json, answer: `{"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":"` + zoomMAC + `"}`},
		{path: "/twitch", method: "POST", header: twitchHeaders("webhook_callback_verification", twitch), body: twitch,
			kind: plain, answer: "pogchamp-kappa-360noscope-vohiyo"},
		{path: "/discord", method: "POST", header: pingedHeaders(ping), body: ping, kind: json, answer: `{"type":1}`},
		{path: "/xero", method: "POST", header: xeroHeaders(checkSecret, xero), body: xero},
		{path: "/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=" + checkToken, method: "GET", kind: plain, answer: "1158201444"},
		{path: "/x?crc_token=" + crcToken + "&nonce=MTc2OTUxODI5MjkxNA", method: "GET", kind: json, answer: `{"response_token":"sha256=` + crcMAC + `"}`},
		{path: "/braintree?bt_challenge=" + bt, method: "GET", kind: plain, answer: "public_key|" + btMAC},
		{path: "/dropbox?challenge=YQ-5_abc", method: "GET", kind: plain, answer: "YQ-5_abc"},
		{path: "/okta", method: "GET", header: map[string]string{"X-Okta-Verification-Challenge": "uAlTS-9"}, kind: json, answer: `{"verification":"uAlTS-9"}`},
		{path: "/graph?validationToken=" + url.QueryEscape(validation), method: "POST", header: map[string]string{"Content-Type": "text/plain; charset=utf-8"},
			kind: plain, answer: validation},
		{path: "/asana", method: "POST", header: map[string]string{"X-Hook-Secret": hookSecret}, body: "{}", want: map[string]string{"X-Hook-Secret": hookSecret}},
		{path: "/ringcentral", method: "POST", header: map[string]string{"Validation-Token": "44b1-9"}, want: map[string]string{"Validation-Token": "44b1-9"}},
		{path: "/monday", method: "POST", body: `{"challenge":"3eZbrw1aBm2rZgRNFdxV"}`, kind: json, answer: `{"challenge":"3eZbrw1aBm2rZgRNFdxV"}`},
		{path: "/trello", method: "HEAD"},
		{path: "/akeneo", method: "POST", header: akeneoHeaders("")},
		{path: "/bitbucket", method: "POST", header: map[string]string{"X-Event-Key": "diagnostics:ping"}, body: `{"test":true}`},
		{path: "/daily", method: "POST", body: `{"test":"test"}`},
		{path: "/strava?hub.mode=subscribe&hub.challenge=15f7&hub.verify_token=" + checkToken, method: "GET", kind: json, answer: `{"hub.challenge":"15f7"}`},
		{path: "/exact", method: "POST"},
	}
}

// Checks as the senders make them get exactly the answers that the senders expect, and
// do not reach the app.
func TestSendersChecksAreAnswered(t *testing.T) {
	t.Parallel()
	g, app := startChecks(t)
	checks := checksThatAreAnswered()
	for range 2 { // twice, as senders check again and again
		for _, c := range checks {
			resp := c.send(t, g)
			if resp.Status != http.StatusOK || resp.Guard != "handshake" || string(resp.Body) != c.answer || resp.Header.Get("Content-Type") != c.kind {
				t.Errorf("%s %s: %v as %q, want %q as %q", c.method, c.path, resp, resp.Header.Get("Content-Type"), c.answer, c.kind)
			}
			if length := strconv.Itoa(len(c.answer)); resp.Header.Get("Content-Length") != length {
				t.Errorf("%s: Content-Length %q, want %s", c.path, resp.Header.Get("Content-Length"), length)
			}
			if c.kind != "" && resp.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: a browser may sniff the answer: %v", c.path, resp.Header)
			}
			for name, value := range c.want {
				if resp.Header.Get(name) != value {
					t.Errorf("%s: header %s is %q, want %q", c.path, name, resp.Header.Get(name), value)
				}
			}
		}
	}
	if n := app.Count(); n != 0 {
		t.Errorf("the app was called %d times", n)
	}
	counted := func() bool {
		n, _ := g.Metric("webhook_guard_requests_total", "provider", "slack", "scope", "slack", "result", "handshake")
		return n == 2
	}
	testbed.Eventually(t, soon, counted, "two handshakes of Slack in the metrics")
	for _, secret := range []string{checkSecret, checkToken} {
		if strings.Contains(g.Output(), secret) {
			t.Errorf("the gateway printed %q", secret)
		}
	}
}

// A request that only resembles a check gets neither an echo nor a signature.
func TestChecksThatAreNoneGetNoAnswer(t *testing.T) {
	t.Parallel()
	g, app := startChecks(t)
	const (
		slack = `{"challenge":"3eZbrw1aBm2rZgRN","type":"url_verification"}`
		xero  = `{"events":[],"entropy":"S0m3r4Nd0mt3xt"}`
	)
	crc := "sha256=" + base64.StdEncoding.EncodeToString(checkMAC(sha256.New, checkSecret, "12345"))
	for _, c := range []check{
		{path: "/slack", method: "POST", body: slack, status: 401, result: "signature_missing"},
		{path: "/slack", method: "POST", header: slackHeaders("other", time.Now()), body: slack, status: 401, result: "signature_invalid"},
		{path: "/slack", method: "POST", header: slackHeaders(slack, time.Now().Add(-time.Hour)), body: slack, status: 403, result: "timestamp_stale"},
		{path: "/slack?challenge=abc", method: "GET", status: 405, result: "method_not_allowed"},
		{path: "/xero", method: "POST", header: xeroHeaders("wrong", xero), body: xero, status: 401, result: "signature_invalid"},
		{path: "/meta?hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong", method: "GET", status: 401, result: "token_invalid"},
		{path: "/meta?hub.mode=subscribe&hub.challenge=1", method: "GET", status: 401, result: "token_missing"},
		{path: "/meta-unsaid?hub.mode=subscribe&hub.challenge=1&hub.verify_token=", method: "GET", status: 405, result: "method_not_allowed"},
		{path: "/dropbox?challenge=%3Cscript%3Ealert(1)%3C/script%3E", method: "GET", status: 405, result: "method_not_allowed"},
		{path: "/dropbox?challenge=" + strings.Repeat("a", 129), method: "GET", status: 405, result: "method_not_allowed"},
		{path: "/graph?validationToken=%3Cb%3E", method: "POST", status: 401, result: "token_missing"},
		{path: "/graph?validationToken=a", method: "POST", body: `{"value":[{"clientState":"wrong"}]}`, status: 401, result: "token_invalid"},
		{path: "/okta", method: "GET", header: map[string]string{"X-Okta-Verification-Challenge": "<b>"}, status: 405, result: "method_not_allowed"},
		{path: "/asana", method: "POST", header: map[string]string{"X-Hook-Secret": strings.Repeat("a", 129)}, status: 401, result: "signature_missing"},
		{path: "/dropbox-off?challenge=abc", method: "GET", status: 405, result: "method_not_allowed"},
		{path: "/akeneo", method: "POST", status: 401, result: "signature_missing"},
		{path: "/bitbucket", method: "POST", header: map[string]string{"X-Event-Key": "repo:refs_changed"}, body: `{"test":true}`, status: 401, result: "signature_missing"},
		{path: "/daily", method: "POST", body: `{"test":"test","type":"recording.started"}`, status: 401, result: "signature_missing"},
		{path: "/strava?hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong", method: "GET", status: 401, result: "token_invalid"},
		// A signature from X's check, which anybody can request, is not accepted for an event.
		{path: "/x", method: "POST", header: map[string]string{"x-twitter-webhooks-signature": crc}, body: "12345", status: 401, result: "signature_invalid"},
	} {
		if resp := c.send(t, g); resp.Status != c.status || resp.Guard != c.result {
			t.Errorf("%s %s %s: %v, want %d %s", c.method, c.path, c.body, resp, c.status, c.result)
		}
	}
	if n := app.Count(); n != 0 {
		t.Errorf("the app was called %d times", n)
	}
}

// With `handshake off` a signed check reaches the app like any other request. Beside a
// handshake, events do too.
func TestChecksLeftToTheAppAndEventsReachIt(t *testing.T) {
	t.Parallel()
	g, app := startChecks(t)
	const (
		slack  = `{"challenge":"3eZbrw1aBm2rZgRN","type":"url_verification"}`
		event  = `{"type":"event_callback","event_id":"Ev1","event":{"type":"message"}}`
		xero   = `{"events":[{"resourceId":"1","eventType":"UPDATE"}],"entropy":"S"}`
		follow = `{"subscription":{"type":"channel.follow"},"event":{"user_id":"1"}}`
	)
	for i, c := range []check{
		{path: "/slack-off", method: "POST", header: slackHeaders(slack, time.Now()), body: slack},
		{path: "/slack", method: "POST", header: slackHeaders(event, time.Now()), body: event},
		{path: "/xero", method: "POST", header: xeroHeaders(checkSecret, xero), body: xero},
		// Its kind is in a header that is not signed, so the event is still forwarded.
		{path: "/twitch", method: "POST", header: twitchHeaders("webhook_callback_verification", follow), body: follow},
	} {
		if resp := c.send(t, g); resp.Status != http.StatusAccepted || resp.Guard != "forwarded" {
			t.Errorf("%s: %v", c.path, resp)
		}
		if n := app.Count(); n != i+1 {
			t.Fatalf("%s: the app was called %d times", c.path, n)
		}
		if got := app.Deliveries()[i]; string(got.Body) != c.body {
			t.Errorf("%s: the app got %q", c.path, got.Body)
		}
	}
}

func TestHandshakeLinesThatAreRefused(t *testing.T) {
	t.Parallel()
	for lines, want := range map[string]string{
		"slack {\nsecret s\nhandshake nobody\n}":                                              "unknown kind",
		"slack {\nsecret s\nhandshake slack x\n}":                                             "slack takes no argument",
		"slack {\nsecret s\nhandshake\n}":                                                     "handshake",
		"slack {\nsecret s\nhandshake off x\n}":                                               "off takes no argument",
		"meta-facebook-whatsapp-instagram {\nsecret s\nhandshake meta {env.CHECK_NOT_SET}\n}": "CHECK_NOT_SET",
		"twitter-x {\nsecret s\nsigned {header.X-Digest}\nhandshake x\n}":                     "does not sign its {body}",
		"okta-event-hooks {\nsecret s\nhandshake zoom\n}":                                     "no secret to sign with",
		"dropbox {\nsecret s\nhandshake challenge\n}":                                         "unknown kind",
		"vercel-log-drains {\nsecret s\nhandshake vercel \"a\nb\"\n}":                         "not printable ASCII",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			g := fmt.Sprintf("http://:0 {\nwebhook_guard %s\nrespond 200\n}\n", lines)
			cmd := testbed.Command(t, "validate", "--adapter", "caddyfile", "--config", "-")
			cmd.Stdin = strings.NewReader(g)
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
				t.Errorf("%s: %v, want %q in\n%s", lines, err, want, out)
			}
		})
	}
}
