package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Which requests are the same event, as strangers reported it. The requests are signed
// here as the senders' documentation says, and not by the gateway's own code.

const reportSecret = "report-secret-0123456789"

func sum256(text string) []byte {
	h := hmac.New(sha256.New, []byte(reportSecret))
	h.Write([]byte(text))
	return h.Sum(nil)
}

func sum1(text string) string {
	h := hmac.New(sha1.New, []byte(reportSecret))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// reported is a request to one path, with headers as pairs.
type reported struct {
	path, body string
	headers    []string
}

func (r reported) send(t *testing.T, g *testbed.Gateway) testbed.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, g.URL(r.path), strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(r.headers); i += 2 {
		req.Header.Set(r.headers[i], r.headers[i+1])
	}
	return testbed.Do(t, req)
}

// step is a request and the result that the sender sees.
type step struct {
	request reported
	result  string
}

// whichAreOneEvent are the scenarios of TestWhichRequestsAreOneEvent, by name.
func whichAreOneEvent(now time.Time) map[string][]step {
	ms := func(d time.Duration) string { return fmt.Sprint(now.Add(d).UnixMilli()) }
	iso := func(d time.Duration) string { return now.Add(d).UTC().Format("2006-01-02T15:04:05Z") }
	sanity := func(stamp, key string) reported {
		const body = `{"slug":"hello"}`
		return reported{"/sanity", body, []string{"sanity-webhook-signature", "t=" + stamp + ",v1=" + base64.RawURLEncoding.EncodeToString(sum256(stamp+"."+body)), "idempotency-key", key}}
	}
	zendesk := func(body, stamp, id string) reported {
		return reported{"/zendesk", body, []string{"X-Zendesk-Webhook-Signature", base64.StdEncoding.EncodeToString(sum256(stamp + body)),
			"X-Zendesk-Webhook-Signature-Timestamp", stamp, "X-Zendesk-Webhook-Invocation-Id", id}}
	}
	twilio := func(path, canonical, written, token string) reported {
		return reported{path, written, []string{"Content-Type", "application/x-www-form-urlencoded",
			"X-Twilio-Signature", sum1("https://hooks.example.com" + path + canonical), "I-Twilio-Idempotency-Token", token}}
	}
	call := func(path, token string) reported {
		return twilio(path, "CallSidCA1CallStatusin-progress", "CallSid=CA1&CallStatus=in-progress", token)
	}
	mandrill := func(written string) reported {
		return reported{"/mandrill", written, []string{"Content-Type", "application/x-www-form-urlencoded",
			"X-Mandrill-Signature", sum1(`https://hooks.example.com/mandrillmandrill_events[{"a":"b c"}]`)}}
	}
	github := func(id, event string) reported {
		const body = `{"action":"opened"}`
		return reported{"/github", body, []string{"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(sum256(body)), "X-GitHub-Delivery", id, "X-GitHub-Event", event}}
	}
	shopify := func(body, id string) reported {
		return reported{"/shopify", body, []string{"X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(sum256(body)), "X-Shopify-Event-Id", id, "X-Shopify-Topic", "app/uninstalled"}}
	}
	alert := reported{"/alerts", `{"status":"firing"}`, []string{"Authorization", "Bearer " + reportSecret}}
	sms := func(written, token string) reported {
		return twilio("/twilio", "Bodya bMessageSidSM1SmsStatusreceived", written, token)
	}

	return map[string][]step{
		"a projection edited twice":      {{sanity(ms(0), "k1"), "forwarded"}, {sanity(ms(5*time.Millisecond), "k2"), "forwarded"}, {sanity(ms(9*time.Millisecond), "k1"), "duplicate"}, {sanity(ms(5*time.Millisecond), "k9"), "duplicate"}},
		"a trigger with a custom body":   {{zendesk(`{"a":1}`, iso(0), "i1"), "forwarded"}, {zendesk(`{"a":1}`, iso(-time.Second), "i2"), "forwarded"}, {zendesk(`{"a":1}`, iso(0), "i9"), "duplicate"}},
		"an empty body, captured":        {{zendesk("", iso(-5*time.Second), "e1"), "forwarded"}, {zendesk("", iso(-5*time.Second), "e9"), "duplicate"}},
		"a call that asks again":         {{call("/twilio", "t1"), "forwarded"}, {call("/twilio", "t2"), "forwarded"}, {call("/twilio/menu", "t3"), "forwarded"}, {call("/twilio", "t1"), "duplicate"}},
		"a message written anew":         {{sms("Body=a+b&MessageSid=SM1&SmsStatus=received", "m1"), "forwarded"}, {sms("&SmsStatus=received&%4dessageSid=SM1&Body=a%20b&", "m9"), "duplicate"}},
		"a form written anew":            {{mandrill("mandrill_events=%5B%7B%22a%22%3A%22b+c%22%7D%5D"), "forwarded"}, {mandrill("%6dandrill_events=%5B%7B%22a%22:%22b%20c%22%7D%5D&"), "duplicate"}},
		"captured, under another name":   {{github("d1", "issues"), "forwarded"}, {github("d2", "issuesX"), "duplicate"}, {github("d3", "Issues"), "duplicate"}},
		"an empty body, another ID":      {{shopify("", "s1"), "forwarded"}, {shopify("", "s9"), "duplicate"}},
		"an alert repeated on purpose":   {{alert, "forwarded"}, {alert, "forwarded"}},
		"a burnt ID":                     {{github("d4", "issues"), "duplicate"}},
		"the trigger's redelivery, late": {{zendesk(`{"a":1}`, iso(-2*time.Second), "i1"), "duplicate"}},
	}
}

func TestWhichRequestsAreOneEvent(t *testing.T) {
	t.Parallel()
	order := []string{"a projection edited twice", "a trigger with a custom body", "an empty body, captured", "a call that asks again", "a message written anew",
		"a form written anew", "captured, under another name", "an empty body, another ID", "an alert repeated on purpose", "a burnt ID", "the trigger's redelivery, late"}
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		guard := func(path, provider string, lines ...string) string {
			return fmt.Sprintf("\thandle %s {\n\t\twebhook_guard %s {\n\t\t\tsecret %s\n\t\t\t%s\n\t\t}\n\t\t%s\n\t}\n", path, provider, reportSecret, strings.Join(lines, "\n\t\t\t"), proxy(app))
		}
		g := site{store: store, guards: "provider alerts {\n\ttoken bearer\n}",
			routes: guard("/sanity", "sanity") + guard("/zendesk", "zendesk") + guard("/twilio*", "twilio", "public_url https://hooks.example.com") +
				guard("/mandrill", "mandrill", "public_url https://hooks.example.com") + guard("/github", "github") + guard("/shopify", "shopify") + guard("/alerts", "alerts")}.start(t)
		scenarios, calls := whichAreOneEvent(time.Now()), 0 // only here, as a parallel test may wait longer than a stamp is fresh
		for _, name := range order {
			for i, s := range scenarios[name] {
				if resp := s.request.send(t, g); resp.Guard != s.result || resp.Status != http.StatusOK {
					t.Errorf("%s, request %d: %d %s, want %s", name, i+1, resp.Status, resp.Guard, s.result)
				}
				if s.result == "forwarded" {
					calls++
				}
			}
		}
		wantCalls(t, app, calls)
	})
}
