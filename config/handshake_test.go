package config

import (
	"net/http"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func TestParseHandshake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words string
		kind  string // "" for none
		err   string
	}{
		{"", "", ""},
		{"off", "", ""},
		{"slack", "slack", ""},
		{"meta hush-token", "meta", ""},
		{"meta {env.VERIFY}", "meta", ""},
		{"meta", "meta", ""},
		{"off x", "", "off takes no argument"},
		{"slack hush-token", "", "slack takes no argument"},
		{"meta hush-token two", "", "one argument at most"},
		{"nobody", "", "there are asana, braintree"},
	} {
		h, err := ParseHandshake(strings.Fields(c.words))
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: error %v, want %q", c.words, err, c.err)
		case c.err == "" && err != nil:
			t.Errorf("%q: %v", c.words, err)
		case err != nil && strings.Contains(err.Error(), "hush"):
			t.Errorf("%q: the error shows the argument: %v", c.words, err)
		case err == nil && c.kind == "" && h != nil, err == nil && c.kind != "" && (h == nil || h.Kind != c.kind):
			t.Errorf("%q is %+v, want %q", c.words, h, c.kind)
		}
	}
	if h, _ := ParseHandshake([]string{"meta"}); h.Missing() != "the verify token" {
		t.Errorf("meta misses %q", h.Missing())
	}
	if h, _ := ParseHandshake([]string{"meta", "x"}); h.Missing() != "" {
		t.Errorf("meta x misses %q", h.Missing())
	}
}

// Every kind keeps these rules.
func TestHandshakeKindsAreBounded(t *testing.T) {
	t.Parallel()
	for _, name := range HandshakeKinds() {
		for _, c := range Handshakes()[name].Checks {
			if len(c.Methods) == 0 || c.Reply.Status/100 != 2 {
				t.Errorf("%s: methods %v, status %d", name, c.Methods, c.Reply.Status)
			}
			echoed := c.Reply.Body + c.Reply.Value
			if strings.Contains(echoed, "{challenge}") || c.MAC != nil {
				if c.Challenge.Kind == "" || c.Bound.text == nil {
					t.Fatalf("%s: echoes or signs what is not bounded", name)
				}
				for _, bad := range []string{"", "<b>", `a"b`, "a\nb", "a\r\nb", "a\\b", "a{b", "a'b", "a;b", "ä", strings.Repeat("a", 257)} {
					if c.Bound.text.MatchString(bad) {
						t.Errorf("%s: lets %q through", name, bad)
					}
				}
			}
			for _, event := range []string{"a=b", "a.b", "a:b", "a b", "a/b", "[1]", "1.5", "v0:1:a"} {
				if c.MAC != nil && c.Bound.text.MatchString(event) {
					t.Errorf("%s: signs %q, which could be an event", name, event)
				}
			}
			if c.Proof == ProofToken && (c.Token.Kind == "" || Handshakes()[name].Argument == "") {
				t.Errorf("%s: has no token to compare", name)
			}
			if c.Proof == ProofNone && c.ReadsBody() && len(c.When) == 0 {
				t.Errorf("%s: answers any POST", name)
			}
			if c.Reply.Body != "" && c.Reply.Type != plainText && c.Reply.Type != jsonText {
				t.Errorf("%s: answers as %q", name, c.Reply.Type)
			}
		}
	}
}

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
		for _, check := range Handshakes()[c.kind].Checks {
			if challenge, ok := check.Read(&r); ok && check.Matches(&r) {
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
func TestHandshakeSignsNoEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   string
		p      Provider
		refuse bool
	}{
		{"x", Provider{}, false},
		{"x", Provider{Signed: []string{"{timestamp}.{body}"}}, false},
		{"x", Provider{Signed: []string{"{http.request.body}"}}, false},
		{"x", Provider{Signed: []string{"{body}", "{body|sha256|hex}"}}, true},
		{"x", Provider{Signed: []string{"{body}"}, SignedFunctions: []string{"sha256"}}, true},
		{"x", Provider{Signed: []string{"{body}"}, Items: "events"}, true},
		{"x", Provider{Signed: []string{"{id}"}}, true},
		{"x", Provider{Scheme: "twilio"}, true},
		{"linkedin", Provider{Signed: []string{"hmacsha256={body}"}}, false},
		{"braintree", Provider{}, true},
		{"braintree", Provider{Signed: []string{"{form.bt_payload}"}}, false},
		{"braintree", Provider{Signed: []string{"{form.other}"}}, true},
		{"slack", Provider{Signed: []string{"{id}"}}, false}, // signed itself
		{"dropbox", Provider{Signed: []string{"{id}"}}, false},
	} {
		h, err := ParseHandshake([]string{c.kind})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.CheckProvider(c.p); (err != nil) != c.refuse {
			t.Errorf("%s with %q %q: %v", c.kind, c.p.Scheme, c.p.Signed, err)
		}
	}
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
		h, err := ParseHandshake([]string{c.kind})
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Forgeable(&signature.Request{Body: []byte(c.body)}); got != c.forgeable {
			t.Errorf("%s: a body of %q is forgeable: %v", c.kind, c.body, got)
		}
	}
}

func TestCheckArgument(t *testing.T) {
	t.Parallel()
	vercel := &Handshake{Checks: Handshakes()["vercel"].Checks}
	meta := &Handshake{Checks: Handshakes()["meta"].Checks}
	if err := vercel.CheckArgument("a-Z_0.~"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"a\n", "a\r\nSet-Cookie: x", "a b", "ä"} {
		if err := vercel.CheckArgument(bad); err == nil || strings.Contains(err.Error(), "Cookie") {
			t.Errorf("%q: %v", bad, err)
		}
		if err := meta.CheckArgument(bad); err != nil {
			t.Errorf("%q is not in the answer: %v", bad, err)
		}
	}
}

// Every handshake in the catalogue parses, and is safe with its provider.
func TestCatalogueHandshakes(t *testing.T) {
	t.Parallel()
	for _, name := range Builtin().Names() {
		p := Builtin()[name]
		h, err := ParseHandshake(p.Handshake)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if h != nil {
			if err := h.CheckProvider(p); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
