package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func macOf(algorithm func() hash.Hash, text string) []byte {
	h := hmac.New(algorithm, []byte(shapeSecret))
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexOf(text string) string { return hex.EncodeToString(macOf(sha256.New, text)) }

// What senders send beside the usual event, signed here by hand as their own libraries sign it:
// thin events, tests and pings, forms, other content types, headers that are left out, and
// several signatures while a secret is changed.
func TestGenuineRequestsOfEveryShape(t *testing.T) {
	t.Parallel()
	const other = "0000000000000000000000000000000000000000000000000000000000000000"
	otherMAC := base64.StdEncoding.EncodeToString(make([]byte, 32))
	now := time.Now().UTC()
	stamp, ms := fmt.Sprint(now.Unix()), fmt.Sprint(now.UnixMilli())
	stripe := func(body, format string, more ...string) reported {
		return reported{"/stripe", body, append([]string{"Stripe-Signature", strings.NewReplacer("T", stamp, "X", other, "S", hexOf(stamp+"."+body)).Replace(format)}, more...)}
	}
	github := func(body string, more ...string) reported {
		return reported{"/github", body, append([]string{"X-Hub-Signature-256", "sha256=" + hexOf(body)}, more...)}
	}
	shopify := func(body string, more ...string) reported {
		return reported{"/shopify", body, append([]string{"X-Shopify-Hmac-Sha256", base64MAC(body), "X-Shopify-Shop-Domain", "a.myshopify.com"}, more...)}
	}
	slack := func(body, contentType string, more ...string) reported {
		return reported{"/slack", body, append([]string{"X-Slack-Signature", "v0=" + hexOf("v0:"+stamp+":"+body), "X-Slack-Request-Timestamp", stamp, "Content-Type", contentType}, more...)}
	}
	svix := func(sender, prefix, id, body, format string) reported {
		mac := "v1," + base64MAC(id+"."+stamp+"."+body)
		return reported{"/" + sender, body, []string{prefix + "-id", id, prefix + "-timestamp", stamp, prefix + "-signature",
			strings.NewReplacer("X", "v1,"+otherMAC, "A", "v1a,"+otherMAC+otherMAC, "S", mac).Replace(format)}}
	}
	square := func(path, body string) reported {
		return reported{path, body, []string{"x-square-hmacsha256-signature", "S", "x-square-signature", otherMAC, "square-environment", "Sandbox"}}
	}
	paddle := func(body, format string) reported {
		return reported{"/paddle", body, []string{"Paddle-Signature", strings.NewReplacer("T", stamp, "X", other, "S", hexOf(stamp+":"+body)).Replace(format)}}
	}
	headed := func(sender, body, name, value string, more ...string) reported {
		return reported{"/" + sender, body, append([]string{name, value}, more...)}
	}
	const form = "application/x-www-form-urlencoded"
	cases := map[string]reported{
		"stripe, a thin event":              stripe(`{"id":"evt_test_65","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered","related_object":{"id":"mtr_1"}}`, "t=T,v1=S"),
		"stripe, two secrets, new one last": stripe(`{"id":"evt_2"}`, "t=T,v1=X,v1=S,v0=X"),
		"stripe, two secrets, new first":    stripe(`{"id":"evt_3"}`, "t=T,v1=S,v1=X"),
		"stripe, another order":             stripe(`{"id":"evt_4"}`, "v1=S,t=T"),
		"stripe, of a connected account":    stripe("{\n  \"id\": \"evt_5\",\n  \"account\": \"acct_1\"\n}", "t=T,v1=S", "Content-Type", "application/json; charset=utf-8"),

		"github, a ping":              github(`{"zen":"Keep it logically awesome.","hook_id":1}`, "X-GitHub-Event", "ping", "X-GitHub-Delivery", "d-1"),
		"github, a form":              github("payload="+url.QueryEscape(`{"ref":"a&b"}`), "X-GitHub-Event", "push", "X-GitHub-Delivery", "d-2", "Content-Type", form),
		"github, both signatures":     github(`{"a":1}`, "X-GitHub-Delivery", "d-3", "X-GitHub-Event", "push", "X-Hub-Signature", "sha1="+hex.EncodeToString(macOf(sha1.New, `{"a":1}`))),
		"github, an app's, no target": github(`{"action":"created"}`, "X-GitHub-Delivery", "d-4", "X-GitHub-Event", "installation"),

		"shopify, without an event's ID": shopify(`{"id":1}`, "X-Shopify-Topic", "orders/create", "X-Shopify-Webhook-Id", "w-1"),
		"shopify, a test":                shopify(`{"id":2}`, "X-Shopify-Topic", "orders/create", "X-Shopify-Event-Id", "e-2", "X-Shopify-Test", "true"),
		"shopify, a privacy request":     shopify(`{"shop_id":3,"shop_domain":"a.myshopify.com"}`, "X-Shopify-Topic", "shop/redact", "X-Shopify-Event-Id", "e-3"),

		"slack, an event":           slack(`{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}`, "application/json", "X-Slack-Retry-Num", "1", "X-Slack-Retry-Reason", "http_timeout"),
		"slack, a command":          slack("token=x&command=%2Fweather&text=94070&response_url=https%3A%2F%2Fhooks.slack.com%2F1&trigger_id=1.2", form),
		"slack, a command, no text": slack("token=x&command=%2Fweather&text=&trigger_id=1.3", form),
		"slack, an interaction":     slack("payload="+url.QueryEscape(`{"type":"block_actions","trigger_id":"1.4"}`), form),
		"slack, options of a menu":  slack("payload="+url.QueryEscape(`{"type":"block_suggestion","value":"a"}`), form),

		"svix, two secrets":               svix("svix", "svix", "msg_1", `{"type":"a"}`, "X S"),
		"svix, a key beside":              svix("svix", "svix", "msg_2", `{"type":"a"}`, "A S"),
		"svix, no JSON":                   svix("svix", "svix", "msg_3", "hello", "S"),
		"svix, an empty body":             svix("svix", "svix", "msg_4", "", "S"),
		"standard webhooks, two secrets":  svix("standard-webhooks", "webhook", "msg_1", `{"type":"a"}`, "S X"),
		"standard webhooks, a list":       svix("standard-webhooks", "webhook", "msg_2", `[1]`, "S"),
		"standard webhooks, another item": svix("standard-webhooks", "webhook", "msg_3", `{}`, "v2,abc S"),

		"square, the URL with a query": square("/square?a=1", `{"event_id":"e-1","type":"payment.created"}`),
		"square, a bare URL":           square("/square", `{"event_id":"e-2","type":"payment.created"}`),

		"paddle, two secrets":   paddle(`{"event_id":"evt_1"}`, "ts=T;h1=X;h1=S"),
		"paddle, a later h1":    paddle(`{"event_id":"evt_2"}`, "ts=T;h1=S;h1=X"),
		"paddle, an unknown h2": paddle(`{"event_id":"evt_3"}`, "ts=T;h1=S;h2=X"),

		"gitlab, older, without an ID": headed("gitlab-secret-token", `{"object_kind":"push"}`, "X-Gitlab-Token", shapeSecret, "X-Gitlab-Event", "Push Hook"),
		"meta, a page":                 headed("meta-facebook-whatsapp-instagram", `{"object":"page","entry":[]}`, "X-Hub-Signature-256", "sha256="+hexOf(`{"object":"page","entry":[]}`)),
		"intercom, a ping":             headed("intercom", `{"type":"notification_event","topic":"ping","id":null}`, "X-Hub-Signature", "sha1="+hex.EncodeToString(macOf(sha1.New, `{"type":"notification_event","topic":"ping","id":null}`))),
		"zoom, milliseconds beside":    headed("zoom", `{"event":"meeting.started","event_ts":1}`, "x-zm-signature", "v0="+hexOf("v0:"+stamp+`:{"event":"meeting.started","event_ts":1}`), "x-zm-request-timestamp", stamp),
		"pagerduty, two secrets":       headed("pagerduty", `{"event":{"id":"p1"}}`, "X-PagerDuty-Signature", "v1="+other+",v1="+hexOf(`{"event":{"id":"p1"}}`)),
		"docusign, the second key":     headed("docusign", `{"event":"envelope-sent"}`, "X-DocuSign-Signature-1", otherMAC, "X-DocuSign-Signature-2", base64MAC(`{"event":"envelope-sent"}`)),
		"hookdeck, the second secret":  headed("hookdeck", `{"h":1}`, "x-hookdeck-signature", otherMAC, "x-hookdeck-signature-2", base64MAC(`{"h":1}`), "x-hookdeck-eventid", "h1"),
		"persona, two secrets":         headed("persona", `{"data":{"id":"evt_p"}}`, "Persona-Signature", "t="+stamp+",v1="+other+" t="+stamp+",v1="+hexOf(stamp+`.{"data":{"id":"evt_p"}}`)),
		"revolut, two secrets":         headed("revolut", `{"event":"ORDER_COMPLETED","order_id":"1"}`, "Revolut-Signature", "v1="+other+",v1="+hexOf("v1."+ms+`.{"event":"ORDER_COMPLETED","order_id":"1"}`), "Revolut-Request-Timestamp", ms),
		"synctera, two secrets":        headed("synctera", `{"id":"s1","type":"CARD.CREATED"}`, "Synctera-Signature", other+"."+hexOf(stamp+`.{"id":"s1","type":"CARD.CREATED"}`), "Request-Timestamp", stamp),
		"bridge, upper case, two":      headed("bridge-api", `{"type":"TEST_EVENT"}`, "BridgeApi-Signature", "v1="+strings.ToUpper(other)+",v1="+strings.ToUpper(hexOf(`{"type":"TEST_EVENT"}`))),
		"savvycal, upper case":         headed("savvycal", `{"type":"event.created","id":"p1"}`, "x-savvycal-signature", "sha256="+strings.ToUpper(hexOf(`{"type":"event.created","id":"p1"}`))),
		"paystack, SHA-512":            headed("paystack", `{"event":"charge.success","data":{"id":1}}`, "x-paystack-signature", hex.EncodeToString(macOf(sha512.New, `{"event":"charge.success","data":{"id":1}}`))),
		"zift, signs nothing":          {"/zift?token=" + shapeSecret, `{"notificationId":272638,"eventCode":"billing.subscription-created"}`, nil},
	}
	var senders []string
	for _, c := range cases {
		name, _, _ := strings.Cut(strings.TrimPrefix(c.path, "/"), "?")
		if !slices.Contains(senders, name) {
			senders = append(senders, name)
		}
	}
	app, g := shapesWith(t, map[string]string{
		"svix": "secret whsec_" + base64.StdEncoding.EncodeToString([]byte(shapeSecret)), "standard-webhooks": "secret whsec_" + base64.StdEncoding.EncodeToString([]byte(shapeSecret)),
		"zift": "secret " + shapeSecret + "\n\t\t\ttoken query token",
	}, senders...)
	for name, c := range cases {
		for i := 0; i < len(c.headers); i += 2 {
			if c.headers[i+1] == "S" { // the URL is signed
				c.headers[i+1] = base64MAC(g.URL(c.path) + c.body)
			}
		}
		if resp := c.send(t, g); resp.Status != http.StatusOK || resp.Guard != "forwarded" {
			t.Errorf("%s: %d %s", name, resp.Status, resp.Guard)
		}
	}
	wantCalls(t, app, len(cases))
	// With a byte more, each is refused, but for those that send a token.
	for name, c := range cases {
		if c.body += " "; slices.Contains(c.headers, shapeSecret) || c.headers == nil {
			continue
		}
		if resp := c.send(t, g); resp.Status != http.StatusUnauthorized {
			t.Errorf("%s, and a byte more: %d %s", name, resp.Status, resp.Guard)
		}
	}
	wantCalls(t, app, len(cases))
}

// shapesWith is shapes, where some senders have lines of their own for the secret.
func shapesWith(t *testing.T, lines map[string]string, providers ...string) (*testbed.App, *testbed.Gateway) {
	t.Helper()
	app := testbed.StartApp(t, nil)
	routes := ""
	for _, provider := range providers {
		own := lines[provider]
		if own == "" {
			own = "secret " + shapeSecret
		}
		routes += fmt.Sprintf("\thandle /%s* {\n\t\twebhook_guard %s {\n\t\t\t%s\n\t\t}\n\t\t%s\n\t}\n", provider, provider, own, proxy(app))
	}
	return app, site{store: "memory", routes: routes}.start(t)
}

// Twilio signs the URL and the sorted fields of a form, or the URL with the body's digest.
func TestGenuineRequestsOfTwilio(t *testing.T) {
	t.Parallel()
	app, g := shapes(t, "twilio")
	send := func(method, path, body, contentType, signed, token string) testbed.Response {
		t.Helper()
		req, err := http.NewRequest(method, g.URL(path), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(macOf(sha1.New, g.URL(path)+signed)))
		req.Header.Set("I-Twilio-Idempotency-Token", token)
		if contentType != "" {
			req.Header.Set("Content-Type", contentType)
		}
		return testbed.Do(t, req)
	}
	const form = "application/x-www-form-urlencoded; charset=UTF-8"
	sum := sha256.Sum256([]byte(`{"specversion":"1.0"}`))
	digest := "?bodySHA256=" + hex.EncodeToString(sum[:])
	calls := 0
	for name, c := range map[string][]string{
		"a message":               {"POST", "/twilio", "Body=a+b%26c&From=%2B15555550100&MessageSid=SM1&SmsStatus=received", form, "Bodya b&cFrom+15555550100MessageSidSM1SmsStatusreceived"},
		"a status callback":       {"POST", "/twilio", "MessageSid=SM1&MessageStatus=sent&SmsStatus=sent", form, "MessageSidSM1MessageStatussentSmsStatussent"},
		"a field twice":           {"POST", "/twilio", "CallSid=CA1&x=2&x=1", form, "CallSidCA1x1x2"},
		"an empty field":          {"POST", "/twilio", "CallSid=CA2&Digits=", form, "CallSidCA2Digits"},
		"a call by GET":           {"GET", "/twilio?CallSid=CA3&From=%2B1555", "", "", ""},
		"JSON":                    {"POST", "/twilio" + digest, `{"specversion":"1.0"}`, "application/json", ""},
		"CloudEvents":             {"POST", "/twilio" + digest + "&a=1", `{"specversion":"1.0"}`, "application/cloudevents+json", ""},
		"a form of nothing":       {"POST", "/twilio", "", form, ""},
		"a query beside the form": {"POST", "/twilio?lang=de", "CallSid=CA4", form, "CallSidCA4"},
	} {
		if resp := send(c[0], c[1], c[2], c[3], c[4], "t-"+name); resp.Guard != "forwarded" {
			t.Errorf("%s: %d %s", name, resp.Status, resp.Guard)
			continue
		}
		calls++
	}
	wantCalls(t, app, calls)
}

// With payload unwrapping, Pub/Sub sends the message alone, and its ID in a header where the
// subscription writes metadata.
func TestGenuineMessagesOfPubSub(t *testing.T) {
	t.Parallel()
	key := newRSA(t, "k1", 2048)
	server := newKeyServer(t, key.jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: pubsubRoute(app, server.URL+"/keys")}.start(t)
	send := func(body string, more ...string) testbed.Response {
		t.Helper()
		header := map[string]string{"Authorization": "Bearer " + key.token(t, pubsub(), nil), "From": "noreply@google.com", "User-Agent": "CloudPubSub-Google"}
		for i := 0; i < len(more); i += 2 {
			header[more[i]] = more[i+1]
		}
		return testbed.Do(t, post(t, g.URL("/webhooks/google-pubsub"), []byte(body), header))
	}
	wrapped := func(id string) string {
		return `{"message":{"attributes":{"k":"v"},"data":"eyJhIjoxfQ==","messageId":"` + id + `","message_id":"` + id + `","orderingKey":"o","publishTime":"2026-11-28T12:00:00.1Z"},"subscription":"projects/p/subscriptions/s","deliveryAttempt":5}`
	}
	const name = "x-goog-pubsub-message-id"
	for _, c := range []struct {
		what   string
		resp   testbed.Response
		result string
	}{
		{"wrapped", send(wrapped("1001"), "Content-Type", "application/json"), "forwarded"},
		{"again", send(wrapped("1001"), "Content-Type", "application/json"), "duplicate"},
		{"again, with another ID beside it", send(wrapped("1001"), name, "9"), "duplicate"},
		{"unwrapped", send(`{"status":"hello"}`, name, "2001", "x-goog-pubsub-subscription-name", "projects/p/subscriptions/s"), "forwarded"},
		{"the same text in another message", send(`{"status":"hello"}`, name, "2002"), "forwarded"},
		{"unwrapped, again", send(`{"status":"hello"}`, name, "2001"), "duplicate"},
		{"unwrapped, no JSON", send("\x00\xff\x01", name, "2003", "Content-Type", "application/octet-stream"), "forwarded"},
		{"unwrapped, empty", send("", name, "2004"), "forwarded"},
		{"unwrapped without metadata", send("hello"), "forwarded"},
		{"and again", send("hello"), "forwarded"},
	} {
		if c.resp.Guard != c.result {
			t.Errorf("%s: %v, want %s", c.what, c.resp, c.result)
		}
	}
}

// Zendesk's triggers choose the method, and Vonage asks for its answer by GET.
func TestGenuineRequestsOfEveryMethod(t *testing.T) {
	t.Parallel()
	app, g := shapes(t, "zendesk", "vonage")
	now := time.Now().UTC()
	send := func(method, path, body string, headers ...string) testbed.Response {
		t.Helper()
		req, err := http.NewRequest(method, g.URL(path), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		return testbed.Do(t, req)
	}
	for i, method := range []string{"POST", "PUT", "PATCH", "DELETE", "GET"} {
		stamp, body := now.Add(-time.Duration(i)*time.Second).Format(time.RFC3339), ""
		if method != "GET" && method != "DELETE" {
			body = `{"method":"` + method + `"}`
		}
		resp := send(method, "/zendesk", body, "X-Zendesk-Webhook-Signature", base64MAC(stamp+body),
			"X-Zendesk-Webhook-Signature-Timestamp", stamp, "X-Zendesk-Webhook-Invocation-Id", "i-"+method)
		if resp.Guard != "forwarded" {
			t.Errorf("zendesk, %s: %v", method, resp)
		}
	}
	part := base64.RawURLEncoding.EncodeToString
	text := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part(fmt.Appendf(nil, `{"iat":%d,"jti":"j1","iss":"Vonage"}`, now.Unix()))
	resp := send("GET", "/vonage?to=1&uuid=u1", "", "Authorization", "Bearer "+text+"."+part(macOf(sha256.New, text)))
	if resp.Guard != "forwarded" {
		t.Errorf("vonage, GET: %v", resp)
	}
	wantCalls(t, app, 6)
}
