package webhook

import (
	"net/http"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func TestCheckMatches(t *testing.T) {
	t.Parallel()
	const long = "a123456789"
	for _, c := range []struct {
		kind, method, query, header, body string
		challenge                         string // what is taken from it
		is                                bool
	}{
		{"slack", "POST", "", "", `{"type":"url_verification","challenge":"3eZb_rw-1"}`, "3eZb_rw-1", true},
		{"slack", "POST", "", "", `{"type":"event_callback","challenge":"3eZb"}`, "", false},
		{"slack", "POST", "", "", `{"type":"url_verification","challenge":"<b>"}`, "", false},
		{"slack", "POST", "", "", `{"type":"url_verification","challenge":["a"]}`, "", false},
		{"slack", "POST", "", "", `{"type":"url_verification"}`, "", false},
		{"slack", "GET", "", "", `{"type":"url_verification","challenge":"a"}`, "", false},
		{"dropbox", "GET", "challenge=abc", "", "", "abc", true},
		{"dropbox", "GET", "challenge=abc&challenge=def", "", "", "", false},
		{"dropbox", "GET", "challenge=%3Cscript%3E", "", "", "", false},
		{"dropbox", "GET", "challenge=" + strings.Repeat(long, 12) + "12345678", "", "", strings.Repeat(long, 12) + "12345678", true},
		{"dropbox", "GET", "challenge=" + strings.Repeat(long, 12) + "123456789", "", "", "", false},
		{"dropbox", "POST", "challenge=abc", "", "", "", false},
		{"meta", "GET", "hub.mode=subscribe&hub.challenge=1158201444", "", "", "1158201444", true},
		{"meta", "GET", "hub.mode=unsubscribe&hub.challenge=1158201444", "", "", "", false},
		{"microsoft-graph", "POST", "validationToken=Validation%3a+Testing+client+application+reachability+for+subscription+Request-Id%3a+25460109-0e8b-4521-8090-dd691b407ed8",
			"", "", "Validation: Testing client application reachability for subscription Request-Id: 25460109-0e8b-4521-8090-dd691b407ed8", true},
		{"microsoft-graph", "POST", "validationToken=%3Cb%3E", "", "", "", false},
		{"microsoft-graph", "POST", "validationToken=a", "", `{"value":[{"id":1}]}`, "", false},
		{"microsoft-sharepoint", "POST", "validationtoken=4b8f7a3f-1", "", "", "4b8f7a3f-1", true},
		{"okta", "GET", "", "X-Okta-Verification-Challenge: abc_D-1", "", "abc_D-1", true},
		{"ringcentral", "POST", "", "Validation-Token: a-1", "", "a-1", true},
		{"ringcentral", "POST", "", "Validation-Token: a-1", `{"event":"/restapi"}`, "", false},
		{"asana", "POST", "", "X-Hook-Secret: b5372", `{}`, "b5372", true},
		{"asana", "POST", "", "X-Hook-Secret: b5372", `{"events":[{"action":"changed"}]}`, "", false},
		{"asana", "POST", "", "", `{"events":[]}`, "", true},
		{"clio", "POST", "", "X-Hook-Secret: b5372", `{"data":{"id":1}}`, "", false},
		{"xero", "POST", "", "", `{"events":[],"entropy":"S0m3"}`, "", true},
		{"xero", "POST", "", "", `{"events": [ ]}`, "", true},
		{"xero", "POST", "", "", `{"events":null}`, "", true},
		{"xero", "POST", "", "", `{"events":[{}]}`, "", false},
		{"xero", "POST", "", "", `{"events":[[]]}`, "", false},
		{"xero", "POST", "", "", `{"events":""}`, "", false},
		{"xero", "POST", "", "", `{}`, "", false},
		{"line", "POST", "", "", `{"destination":"U1","events":[]}`, "", true},
		{"discord", "POST", "", "", `{"type":1,"version":1}`, "", true},
		{"discord", "POST", "", "", `{"type":0,"version":1}`, "", true},
		{"discord", "POST", "", "", `{"type":1,"event":{"type":"ENTITLEMENT_CREATE"}}`, "", false},
		{"discord", "POST", "", "", `{"type":2,"data":{}}`, "", false},
		{"discord", "POST", "", "", `{}`, "", false},
		{"twitch", "POST", "", "Twitch-Eventsub-Message-Type: webhook_callback_verification", `{"challenge":"pogchamp-kappa-360noscope-vohiyo"}`, "pogchamp-kappa-360noscope-vohiyo", true},
		{"twitch", "POST", "", "Twitch-Eventsub-Message-Type: webhook_callback_verification", `{"event":{"id":1}}`, "", false},
		{"twitch", "POST", "", "Twitch-Eventsub-Message-Type: notification", `{"challenge":"a"}`, "", false},
		{"aws-sns", "POST", "", "", `{"Type":"SubscriptionConfirmation","Token":"a"}`, "", true},
		{"aws-sns", "POST", "", "", `{"Type":"UnsubscribeConfirmation","Token":"a"}`, "", true},
		{"aws-sns", "POST", "", "", `{"Type":"Notification","Token":"a"}`, "", false},
		{"aws-sns", "POST", "", "", `{"Type":["SubscriptionConfirmation"]}`, "", false},
		{"aws-sns", "GET", "", "", `{"Type":"SubscriptionConfirmation"}`, "", false},
		{"tebex", "POST", "", "", `{"id":"2c11-1","type":"validation.webhook"}`, "2c11-1", true},
		{"monday", "POST", "", "", `{"challenge":"3eZb"}`, "3eZb", true},
		{"monday", "POST", "", "", `{"challenge":"3eZb","event":{}}`, "", false},
		{"terraform", "POST", "", "", `{"run_id":null,"notifications":[{"trigger":"verification"}]}`, "", true},
		{"terraform", "POST", "", "", `{"run_id":"r","notifications":[{"trigger":"run:created"}]}`, "", false},
		{"woocommerce", "POST", "", "", `webhook_id=17`, "17", true},
		{"woocommerce", "POST", "", "", `webhook_id=x`, "", false},
		{"trello", "HEAD", "", "", "", "", true},
		{"trello", "GET", "", "", "", "", false},
		{"exact-online", "POST", "", "", "", "", true},
		{"exact-online", "POST", "", "", `{"Content":{}}`, "", false},
		{"akeneo", "POST", "", "", "", "", true},
		{"akeneo", "POST", "", "", `{"events":[{"action":"product.created"}]}`, "", false},
		{"bitbucket-server", "POST", "", "X-Event-Key: diagnostics:ping", `{"test":true}`, "", true},
		{"bitbucket-server", "POST", "", "X-Event-Key: diagnostics:ping", "", "", true},
		{"bitbucket-server", "POST", "", "X-Event-Key: diagnostics:ping", `{"eventKey":"repo:refs_changed"}`, "", false},
		{"bitbucket-server", "POST", "", "X-Event-Key: repo:refs_changed", `{"test":true}`, "", false},
		{"daily", "POST", "", "", `{"test":"test"}`, "", true},
		{"daily", "POST", "", "", `{"test":"test","type":"recording.started"}`, "", false},
		{"daily", "POST", "", "", `{"type":"recording.started","payload":{}}`, "", false},
		{"daily", "POST", "", "", `{}`, "", false},
		{"vercel", "GET", "", "", "", "", true},
		{"vercel", "POST", "", "", "{}", "", true},
		{"vercel", "POST", "", "", `[{"id":"1"}]`, "", false},
		{"braintree", "GET", "bt_challenge=20f9f8ed05f77439fe955c977e4c8a53", "", "", "20f9f8ed05f77439fe955c977e4c8a53", true},
		{"braintree", "GET", "bt_challenge=PG5vdGlmaWNhdGlvbj4K", "", "", "", false},
		{"x", "GET", "crc_token=M2RkODJkZmMtYjlk", "", "", "M2RkODJkZmMtYjlk", true},
		{"linkedin", "GET", "challengeCode=890e4665-4dfe-4ab1-b689-ed553bceeed0", "", "", "890e4665-4dfe-4ab1-b689-ed553bceeed0", true},
	} {
		r := signature.Request{Method: c.method, Query: c.query, Body: []byte(c.body), Header: map[string][]string{}}
		if name, value, ok := strings.Cut(c.header, ": "); ok {
			r.Header[http.CanonicalHeaderKey(name)] = []string{value}
		}
		is, got := false, ""
		for _, check := range config.Handshakes()[c.kind].Checks {
			if challenge, ok := challengeOf(check, &r); ok && matches(check, &r) {
				is, got = true, challenge
				break
			}
		}
		if is != c.is || got != c.challenge {
			t.Errorf("%s %s ?%s %s %s: %v %q, want %v %q", c.kind, c.method, c.query, c.header, c.body, is, got, c.is, c.challenge)
		}
	}
}

// What a handshake signs for anybody must never be an event's signed bytes.
func TestAnAnswerIsNoEventsSignature(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, body string
		forgeable  bool
	}{
		{"x", "", true},
		{"x", "abc", true},
		{"x", "123", true}, // JSON, and yet no event
		{"x", `{"a":1}`, false},
		{"x", strings.Repeat("a", 129), false},
		{"zoom", "abc", false}, // signs only what is signed
		{"braintree", "bt_signature=a%7Cb&bt_payload=20f9f8ed05f77439fe955c977e4c8a53", true},
		{"braintree", "bt_signature=a%7Cb&bt_payload=PG5vdGlmaWNhdGlvbj4%3D", false},
		{"braintree", "bt_signature=a%7Cb&bt_payload=", true},
	} {
		h, err := config.ParseHandshake([]string{c.kind})
		if err != nil {
			t.Fatal(err)
		}
		if got := forgeable(h, &signature.Request{Body: []byte(c.body)}); got != c.forgeable {
			t.Errorf("%s: a body of %q is forgeable: %v", c.kind, c.body, got)
		}
	}
}

// A provider of one's own says itself where the challenge and the token are.
func TestKindsWithSourcesMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words, query, challenge string
		is                      bool
	}{
		{"echo query challenge", "challenge=abc", "abc", true},
		{"echo query code", "challenge=abc", "", false},
		{"echo query challenge", "challenge=%3Cb%3E", "", false},
		{"echo query challenge", "challenge=" + strings.Repeat("a", 129), "", false},
		{"echo header x-challenge", "", "from-header", true},
		{"verify query token query challenge hush", "token=x&challenge=abc", "abc", true}, // who has the token is another question
	} {
		h, err := config.ParseHandshake(strings.Fields(c.words))
		if err != nil {
			t.Fatal(err)
		}
		r := signature.Request{Method: "GET", Query: c.query, Header: map[string][]string{"X-Challenge": {"from-header"}}}
		challenge, ok := challengeOf(h.Checks[0], &r)
		if is := ok && matches(h.Checks[0], &r); is != c.is || is && challenge != c.challenge {
			t.Errorf("%s ?%s: %v %q", c.words, c.query, is, challenge)
		}
	}
}
