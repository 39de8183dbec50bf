package webhook

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// These requests are signed here, as the senders' documentation says, and not by the code
// that verifies them.

const copySecret = "a-secret-of-some-length"

// builtin makes a sender of the catalogue, and a tenant of it whose secret is copySecret.
func builtin(t *testing.T, name string) (*Sender, Fixed) {
	t.Helper()
	s, err := New(name, config.Builtin()[name])
	if err != nil {
		t.Fatal(err)
	}
	key, err := s.NewKey(copySecret)
	if err != nil {
		t.Fatal(err)
	}
	return s, Fixed{[]signature.Secret{{Key: key}}, "scope"}
}

func mac256(text string) []byte {
	h := hmac.New(sha256.New, []byte(copySecret))
	h.Write([]byte(text))
	return h.Sum(nil)
}

func mac1(text string) string {
	h := hmac.New(sha1.New, []byte(copySecret))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// post is a request with headers given as pairs.
func post(body string, headers ...string) signature.Request {
	r := signature.Request{Method: http.MethodPost, Scheme: "https", Host: "hooks.example.com", Path: "/in", Header: make(map[string][]string), Body: []byte(body)}
	for pair := range slices.Chunk(headers, 2) {
		r.Header[http.CanonicalHeaderKey(pair[0])] = []string{pair[1]}
	}
	return r
}

func form(body string, headers ...string) signature.Request {
	return post(body, append(headers, "Content-Type", "application/x-www-form-urlencoded")...)
}

func at(r signature.Request, path, query string) signature.Request {
	r.Path, r.Query = path, query
	return r
}

func by(method string, r signature.Request) signature.Request {
	r.Method = method
	return r
}

func sanity(body string, ms int64, key string) signature.Request {
	stamp := strconv.FormatInt(ms, 10)
	return post(body, "sanity-webhook-signature", "t="+stamp+",v1="+base64.RawURLEncoding.EncodeToString(mac256(stamp+"."+body)), "idempotency-key", key)
}

func zendesk(body, stamp, id string) signature.Request {
	return post(body, "X-Zendesk-Webhook-Signature", base64.StdEncoding.EncodeToString(mac256(stamp+body)),
		"X-Zendesk-Webhook-Signature-Timestamp", stamp, "X-Zendesk-Webhook-Invocation-Id", id)
}

func contentful(body string, ms int64, key string) signature.Request {
	stamp := strconv.FormatInt(ms, 10)
	canonical := "POST\n/in\nx-contentful-signed-headers:x-contentful-signed-headers,x-contentful-timestamp;x-contentful-timestamp:" + stamp + "\n" + body
	return post(body, "x-contentful-signature", hex.EncodeToString(mac256(canonical)), "x-contentful-timestamp", stamp,
		"x-contentful-signed-headers", "x-contentful-signed-headers,x-contentful-timestamp", "X-Contentful-Idempotency-Key", key)
}

// twilio signs the URL and the sorted fields, however the form is written.
func twilio(target, fields, written, token string) signature.Request {
	u, _ := url.Parse(target)
	values, _ := url.ParseQuery(fields)
	text := target
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range values {
			if !yield(name) {
				return
			}
		}
	}) {
		text += name + values.Get(name)
	}
	r := at(form(written, "X-Twilio-Signature", mac1(text), "I-Twilio-Idempotency-Token", token), u.Path, u.RawQuery)
	r.Scheme, r.Host = u.Scheme, u.Host
	return r
}

func mandrill(events, written string) signature.Request {
	return form(written, "X-Mandrill-Signature", mac1("https://hooks.example.com/inmandrill_events"+events))
}

func hubspotGET(ms int64) signature.Request {
	stamp := strconv.FormatInt(ms, 10)
	return by(http.MethodGet, post("", "X-HubSpot-Signature-v3", base64.StdEncoding.EncodeToString(mac256("GEThttps://hooks.example.com/in"+stamp)),
		"X-HubSpot-Request-Timestamp", stamp))
}

func shopify(body, id, topic string) signature.Request {
	return post(body, "X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(mac256(body)), "X-Shopify-Event-Id", id, "X-Shopify-Topic", topic)
}

func pandadoc(body, id string) signature.Request {
	return at(post(body, "X-PandaDoc-Webhook-Event-Id", id), "/in", "signature="+hex.EncodeToString(mac256(body)))
}

func github(body, id, event string) signature.Request {
	return post(body, "X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac256(body)), "X-GitHub-Delivery", id, "X-GitHub-Event", event)
}

// Two requests are copies of one event where the sender repeated its ID, or where somebody
// sent again what the sender signed; and only there.
func TestWhichRequestsAreCopies(t *testing.T) {
	now := time.Now()
	ms := now.UnixMilli()
	iso := func(d time.Duration) string { return now.Add(d).UTC().Format("2006-01-02T15:04:05Z") }
	sms := "MessageSid=SM1&SmsStatus=received&Body=a+b&From=%2B15550001"
	call := "CallSid=CA1&CallStatus=in-progress&Digits=1"
	const voice = "https://hooks.example.com/voice"
	for name, tc := range map[string]struct {
		provider string
		a, b     signature.Request
		copies   bool
	}{
		"a projection edited twice":                {"sanity", sanity(`{"slug":"hello"}`, ms, "k1"), sanity(`{"slug":"hello"}`, ms+7, "k2"), false},
		"its retry, signed anew":                   {"sanity", sanity(`{"slug":"hello"}`, ms, "k1"), sanity(`{"slug":"hello"}`, ms+30_000, "k1"), true},
		"captured, under another key":              {"sanity", sanity(`{"slug":"hello"}`, ms, "k1"), sanity(`{"slug":"hello"}`, ms, "k9"), true},
		"a trigger with one custom body":           {"zendesk", zendesk(`{"a":1}`, iso(0), "i1"), zendesk(`{"a":1}`, iso(time.Second), "i2"), false},
		"that trigger captured":                    {"zendesk", zendesk(`{"a":1}`, iso(0), "i1"), zendesk(`{"a":1}`, iso(0), "i9"), true},
		"an empty body captured":                   {"zendesk", zendesk("", iso(0), "i1"), zendesk("", iso(0), "i9"), true},
		"two empty bodies":                         {"zendesk", zendesk("", iso(0), "i1"), zendesk("", iso(time.Second), "i2"), false},
		"a custom payload published twice":         {"contentful", contentful(`{"a":1}`, ms, "k1"), contentful(`{"a":1}`, ms+5, "k2"), false},
		"that payload captured":                    {"contentful", contentful(`{"a":1}`, ms, "k1"), contentful(`{"a":1}`, ms, "k9"), true},
		"a call that comes to a URL again":         {"twilio", twilio(voice, call, call, "t1"), twilio(voice, call, call, "t2"), false},
		"a call that comes to another URL":         {"twilio", twilio(voice, call, call, "t1"), twilio(voice+"/menu", call, call, "t2"), false},
		"a call's retry":                           {"twilio", twilio(voice, call, call, "t1"), twilio(voice, call, call, "t1"), true},
		"a message written anew, another token":    {"twilio", twilio(voice, sms, sms, "t1"), twilio(voice, sms, "From=%2B15550001&Body=a%20b&SmsStatus=received&%4dessageSid=SM1&", "t9"), true},
		"a message's next status":                  {"twilio", twilio(voice, "MessageSid=SM1&SmsStatus=sent", "MessageSid=SM1&SmsStatus=sent", "t1"), twilio(voice, "MessageSid=SM1&SmsStatus=delivered", "MessageSid=SM1&SmsStatus=delivered", "t2"), false},
		"a form with %20 for +":                    {"mandrill", mandrill(`[{"event":"a b"}]`, "mandrill_events=%5B%7B%22event%22%3A%22a+b%22%7D%5D"), mandrill(`[{"event":"a b"}]`, "mandrill_events=%5B%7B%22event%22:%22a%20b%22%7D%5D"), true},
		"a form with %6d for m and an &":           {"mandrill", mandrill(`[]x`, "mandrill_events=%5B%5Dx"), mandrill(`[]x`, "&%6dandrill_events=%5B%5Dx&"), true},
		"another form":                             {"mandrill", mandrill(`[1]`, "mandrill_events=%5B1%5D"), mandrill(`[2]`, "mandrill_events=%5B2%5D"), false},
		"a GET captured":                           {"hubspot-v3", hubspotGET(ms), hubspotGET(ms), true},
		"two GETs":                                 {"hubspot-v3", hubspotGET(ms), hubspotGET(ms + 3), false},
		"an empty body under another unsigned ID":  {"shopify", shopify("", "e1", "t"), shopify("", "e9", "t"), true},
		"one body under two topics":                {"shopify", shopify(`{"a":1}`, "e1", "orders/create"), shopify(`{"a":1}`, "e1", "orders/paid"), false},
		"equal bodies, other event IDs":            {"pandadoc", pandadoc(`[{"event":"x"}]`, "e1"), pandadoc(`[{"event":"x"}]`, "e2"), false},
		"a PandaDoc retry":                         {"pandadoc", pandadoc(`[{"event":"x"}]`, "e1"), pandadoc(`[{"event":"x"}]`, "e1"), true},
		"captured, under another event name":       {"github", github(`{"a":1}`, "d1", "issues"), github(`{"a":1}`, "d9", "Issues"), true},
		"captured, under another delivery":         {"github", github(`{"a":1}`, "d1", "issues"), github(`{"a":1}`, "d9", "issues"), true},
		"two events of GitHub":                     {"github", github(`{"a":1}`, "d1", "issues"), github(`{"a":2}`, "d2", "issues"), false},
		"GitHub's redelivery, under the same GUID": {"github", github(`{"a":1}`, "d1", "issues"), github(`{"a":1}`, "d1", "issues"), true},
	} {
		t.Run(name, func(t *testing.T) {
			s, tenant := builtin(t, tc.provider)
			s.Rules.Methods = append(s.Rules.Methods, http.MethodGet)
			var events [2]Event
			for i, r := range []signature.Request{tc.a, tc.b} {
				var refused *Refusal
				if events[i], refused = s.Judge(r, r.Body, tenant, now); refused != nil {
					t.Fatalf("request %d: %v", i, refused)
				}
			}
			a, b := events[0].Keys, events[1].Keys
			copies := !a.ID.IsZero() && a.ID == b.ID || !a.Content.IsZero() && a.Content == b.Content
			if copies != tc.copies {
				t.Errorf("copies: %t, want %t (%+v, %+v)", copies, tc.copies, a, b)
			}
		})
	}
}

// Who has a token can write any body, so equal bodies say nothing: Alertmanager repeats an
// alert on purpose.
func TestATokenSendersEqualBodiesAreEvents(t *testing.T) {
	s := newSender(t, "token bearer")
	key, err := s.NewKey(copySecret)
	if err != nil {
		t.Fatal(err)
	}
	r := post(`{"status":"firing"}`, "Authorization", "Bearer "+copySecret)
	event, refused := s.Judge(r, r.Body, Fixed{[]signature.Secret{{Key: key}}, "scope"}, time.Now())
	if refused != nil || !event.Keys.ID.IsZero() || !event.Keys.Content.IsZero() {
		t.Errorf("%v, %+v", refused, event.Keys)
	}
}

// Without an ID, retries that are signed anew are recognised by their content.
func TestRetriesWithoutAnIDAreCopies(t *testing.T) {
	s := newSender(t, "signature X-Sig\nsigned {timestamp}.{header.X-Stamp}.{query.n}.{body}\ntimestamp header X-Stamp unix")
	key, err := s.NewKey(copySecret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	judge := func(stamp time.Time, n, body string) Event {
		text := strconv.FormatInt(stamp.Unix(), 10)
		r := at(post(body, "X-Sig", hex.EncodeToString(mac256(strings.Join([]string{text, text, n, body}, "."))), "X-Stamp", text), "/in", "n="+n)
		event, refused := s.Judge(r, r.Body, Fixed{[]signature.Secret{{Key: key}}, "scope"}, now)
		if refused != nil {
			t.Fatal(refused)
		}
		return event
	}
	first := judge(now, "1", `{"a":1}`)
	if retry := judge(now.Add(-time.Minute), "1", `{"a":1}`); retry.Keys != first.Keys || first.Keys.Content.IsZero() {
		t.Errorf("a retry has the keys %+v, the first one %+v", retry.Keys, first.Keys)
	}
	for _, other := range []Event{judge(now, "2", `{"a":1}`), judge(now, "1", `{"a":2}`)} {
		if other.Keys == first.Keys {
			t.Errorf("another event has the same keys")
		}
	}
	if a, b := judge(now, "1", ""), judge(now.Add(-time.Second), "1", ""); a.Keys.Content.IsZero() || a.Keys == b.Keys {
		t.Errorf("events without a body share %+v", a.Keys)
	}
}
