package webhook

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func pylon(body string, at time.Time) signature.Request {
	stamp := strconv.FormatInt(at.Unix(), 10)
	return post(body, "Pylon-Webhook-Signature", "hs256="+hex.EncodeToString(mac256(stamp+"."+body)), "Pylon-Webhook-Timestamp", stamp)
}

func revolut(body string, at time.Time) signature.Request {
	stamp := strconv.FormatInt(at.UnixMilli(), 10)
	return post(body, "Revolut-Signature", "v1="+hex.EncodeToString(mac256("v1."+stamp+"."+body)), "Revolut-Request-Timestamp", stamp)
}

func zoom(body string, at time.Time) signature.Request {
	stamp := strconv.FormatInt(at.Unix(), 10)
	return post(body, "x-zm-signature", "v0="+hex.EncodeToString(mac256("v0:"+stamp+":"+body)), "x-zm-request-timestamp", stamp)
}

func sinch(body, nonce string, at time.Time) signature.Request {
	stamp := strconv.FormatInt(at.Unix(), 10)
	return post(body, "x-sinch-webhook-signature", base64.StdEncoding.EncodeToString(mac256(body+"."+nonce+"."+stamp)),
		"x-sinch-webhook-signature-nonce", nonce, "x-sinch-webhook-signature-timestamp", stamp)
}

func attio(body, key string) signature.Request {
	return post(body, "Attio-Signature", hex.EncodeToString(mac256(body)), "Idempotency-Key", key)
}

func hookdeck(body, id string) signature.Request {
	return post(body, "x-hookdeck-signature", base64.StdEncoding.EncodeToString(mac256(body)), "x-hookdeck-eventid", id)
}

func woo(body, id, topic string) signature.Request {
	return post(body, "X-WC-Webhook-Signature", base64.StdEncoding.EncodeToString(mac256(body)), "X-WC-Webhook-Delivery-ID", id, "X-WC-Webhook-Topic", topic)
}

// monday's tokens of one second are the same, and say nothing of the event.
func monday(trigger string, at time.Time) signature.Request {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	signed := part(`{"alg":"HS256","typ":"JWT"}`) + "." + part(`{"accountId":1,"iat":`+strconv.FormatInt(at.Unix(), 10)+`,"exp":`+strconv.FormatInt(at.Add(5*time.Minute).Unix(), 10)+`}`)
	return post(`{"event":{"type":"update_column_value","triggerUuid":"`+trigger+`"}}`, "Authorization", signed+"."+base64.RawURLEncoding.EncodeToString(mac256(signed)))
}

func treezor(body, payload string) signature.Request {
	return post(`{"webhook_id":"` + body + `","object_payload":` + payload + `,"object_payload_signature":"` + base64.StdEncoding.EncodeToString(mac256(`{"card":"a\/b"}`)) + `"}`)
}

func pipedrive(meta string) signature.Request {
	return post(`{"meta":{`+meta+`}}`, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(copySecret)))
}

func basic(body string, headers ...string) signature.Request {
	return post(body, append(headers, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(copySecret)))...)
}

func gocardless(body string) signature.Request {
	return post(body, "Webhook-Signature", hex.EncodeToString(mac256(body)))
}

func fastspring(body string) signature.Request {
	return post(body, "X-FS-Signature", base64.StdEncoding.EncodeToString(mac256(body)))
}

func xero(body string) signature.Request {
	return post(body, "x-xero-signature", base64.StdEncoding.EncodeToString(mac256(body)))
}

// gitea signs the JSON, whichever way it is sent.
func gitea(payload, id string) signature.Request {
	return post(payload, "X-Gitea-Signature", hex.EncodeToString(mac256(payload)), "X-Gitea-Delivery", id, "X-Gogs-Signature", hex.EncodeToString(mac256(payload)), "X-Gogs-Delivery", id)
}

// as writes the body of a request anew and leaves all else as it is.
func as(body string, r signature.Request) signature.Request {
	r.Body = []byte(body)
	return r
}

// mailgunFields are those that Mailgun's routes send beside a message.
func mailgunFields(at time.Time, token string) (names, values []string) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	return []string{"timestamp", "token", "signature"}, []string{stamp, token, hex.EncodeToString(mac256(stamp + token))}
}

func mailgunForm(at time.Time, token string) signature.Request {
	names, values := mailgunFields(at, token)
	body := "subject=hello"
	for i := range names {
		body += "&" + names[i] + "=" + values[i]
	}
	return form(body)
}

// mailgunMultipart is a message with an attachment.
func mailgunMultipart(at time.Time, token string) signature.Request {
	names, values := mailgunFields(at, token)
	body := "--b1\r\nContent-Disposition: form-data; name=\"attachment-1\"; filename=\"a.txt\"\r\n\r\nhello\r\n"
	for i := range names {
		body += "--b1\r\nContent-Disposition: form-data; name=\"" + names[i] + "\"\r\n\r\n" + values[i] + "\r\n"
	}
	return post(body+"--b1--\r\n", "Content-Type", "multipart/form-data; boundary=b1")
}

func docusign(body string) signature.Request {
	return post(body, "X-DocuSign-Signature-1", base64.StdEncoding.EncodeToString(mac256(body)))
}

// These tests check the entries of single senders with requests that are signed here.
func TestWhatEntriesTakeForOneEvent(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	later := now.Add(-7 * time.Second)
	declined := `{"event":"ORDER_PAYMENT_DECLINED","order_id":"o1"}`
	changedAttribute := `{"webhook_id":"w","events":[{"event_type":"record.updated","id":{"record_id":"r","attribute_id":"a"}}]}`
	v2 := `"webhook_id":"1","entity":"deal","entity_id":"7","action":"change","timestamp":"2026-11-28T13:00:00.551Z"`
	push := `{"ref":"refs/heads/main","n":"a b&c"}`
	pushForm := "payload=" + url.QueryEscape(push)
	v1 := `"webhook_id":1,"object":"deal","id":7,"action":"updated","timestamp_micro":1764000000000001`
	for name, tc := range map[string]struct {
		provider string
		a, b     signature.Request
		copies   bool
	}{
		"a trigger's body sent twice":                 {"pylon", pylon(`{"a":1}`, now), pylon(`{"a":1}`, later), false},
		"that body captured":                          {"pylon", pylon(`{"a":1}`, now), pylon(`{"a":1}`, now), true},
		"an order declined twice":                     {"revolut", revolut(declined, now), revolut(declined, later), false},
		"a decline captured":                          {"revolut", revolut(declined, now), revolut(declined, now), true},
		"a retry that is signed anew":                 {"zoom", zoom(`{"event":"meeting.ended","event_ts":1}`, now), zoom(`{"event":"meeting.ended","event_ts":1}`, later), true},
		"a retry with another nonce":                  {"sinch-conversation", sinch(`{"a":1}`, "n1", now), sinch(`{"a":1}`, "n2", later), true},
		"two changes of one attribute":                {"attio", attio(changedAttribute, "k1"), attio(changedAttribute, "k2"), false},
		"a retry of a change":                         {"attio", attio(changedAttribute, "k1"), attio(changedAttribute, "k1"), true},
		"two forwarded pings":                         {"hookdeck", hookdeck(`{"id":"tr_1"}`, "e1"), hookdeck(`{"id":"tr_1"}`, "e2"), false},
		"one order, created and updated":              {"woocommerce", woo(`{"id":1}`, "d1", "order.created"), woo(`{"id":1}`, "d2", "order.updated"), false},
		"an order captured, under another ID":         {"woocommerce", woo(`{"id":1}`, "d1", "order.created"), woo(`{"id":1}`, "d2", "order.created"), true},
		"two events of one second":                    {"monday", monday("t1", now), monday("t2", now), false},
		"a retry with a new token":                    {"monday", monday("t1", now), monday("t1", later), true},
		"a payload written anew, under another ID":    {"treezor", treezor("w1", `{"card":"a\/b"}`), treezor("w9", `{ "card" : "a\u002fb" }`), true},
		"a notification's next attempt":               {"pipedrive", pipedrive(v2 + `,"attempt":1`), pipedrive(v2 + `,"attempt":2`), true},
		"a notification of version 1 and its retry":   {"pipedrive", pipedrive(v1), pipedrive(v1), true},
		"another change of one deal":                  {"pipedrive", pipedrive(v2), pipedrive(v2[:len(v2)-2] + `8Z"`), false},
		"a bounce's retry":                            {"postmark", basic(`{"RecordType":"Open"}`, "X-PM-Webhook-Trace-Id", "t1"), basic(`{"RecordType":"Open"}`, "X-PM-Webhook-Trace-Id", "t1"), true},
		"a message that is opened twice":              {"postmark", basic(`{"RecordType":"Open"}`, "X-PM-Webhook-Trace-Id", "t1"), basic(`{"RecordType":"Open"}`, "X-PM-Webhook-Trace-Id", "t2"), false},
		"a batch of other bytes with the same IDs":    {"gocardless", gocardless(`{"events":[{"id":"E1"}],"n":1}`), gocardless(`{"events":[{"id":"E1"}],"n":2}`), true},
		"batches with an element without an ID":       {"gocardless", gocardless(`{"events":[{"id":"E1"},{"x":1}]}`), gocardless(`{"events":[{"id":"E1"},{"x":2}]}`), false},
		"such a batch captured":                       {"gocardless", gocardless(`{"events":[{"id":"E1"},{"x":1}]}`), gocardless(`{"events":[{"id":"E1"},{"x":1}]}`), true},
		"another batch with an element without one":   {"fastspring", fastspring(`{"events":[{"type":"a"}]}`), fastspring(`{"events":[{"type":"b"}]}`), false},
		"a batch beside another random text":          {"xero", xero(`{"events":[{"resourceId":"r","eventDateUtc":"t"}],"entropy":"a"}`), xero(`{"events":[{"resourceId":"r","eventDateUtc":"t"}],"entropy":"b"}`), true},
		"a captured push, as a form":                  {"gitea-forgejo", gitea(push, "d1"), as(pushForm, gitea(push, "d9")), true},
		"a captured form, as JSON":                    {"gitea-forgejo", as(pushForm, gitea(push, "d1")), gitea(push, "d9"), true},
		"a captured form, written anew":               {"gitea-forgejo", as(pushForm, gitea(push, "d1")), as("&p%61yload="+strings.ReplaceAll(url.QueryEscape(push), "+", "%20")+"&x=1", gitea(push, "d9")), true},
		"a captured push of Gogs, as a form":          {"gogs", gitea(push, "d1"), as(pushForm, gitea(push, "d9")), true},
		"a captured form of Gogs, as JSON":            {"gogs", as(pushForm, gitea(push, "d1")), gitea(push, "d9"), true},
		"two pushes as forms":                         {"gogs", as(pushForm, gitea(push, "d1")), as("payload=%7B%7D", gitea("{}", "d2")), false},
		"a routed message's retry":                    {"mailgun-inbound", mailgunForm(now, "t1"), mailgunForm(now, "t1"), true},
		"another message beside a captured signature": {"mailgun-inbound", mailgunForm(now, "t1"), mailgunMultipart(now, "t1"), true},
		"two messages, one with an attachment":        {"mailgun-inbound", mailgunForm(now, "t1"), mailgunMultipart(now, "t2"), false},
		"a batch without a list":                      {"xero", xero(`{"n":1}`), xero(`{"n":2}`), false},
		"two XML messages":                            {"docusign", docusign(`<a>1</a>`), docusign(`<a>2</a>`), false},
		"an XML message's retry":                      {"docusign", docusign(`<a>1</a>`), docusign(`<a>1</a>`), true},
		"a token sender without an ID repeats itself": {"ethoca", basic(`{"a":1}`), basic(`{"a":1}`), false},
	} {
		t.Run(name, func(t *testing.T) {
			s, tenant := builtin(t, tc.provider)
			var events [2]Event
			for i, r := range []signature.Request{tc.a, tc.b} {
				r.Method = http.MethodPost
				var refused *Refusal
				if events[i], refused = s.Judge(r, r.Body, tenant, now); refused != nil {
					t.Fatalf("request %d: %v", i, refused)
				}
			}
			if got := shareAKey(events[0], events[1]); got != tc.copies {
				t.Errorf("copies: %t, want %t (%+v, %+v)", got, tc.copies, events[0].Keys, events[1].Keys)
			}
		})
	}
}
