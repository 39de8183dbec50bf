package webhook

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// signedHere are requests that are signed as the senders' documentation says, without the
// code that signs and verifies for this project.
func signedHere(t *testing.T, name string, sender *Sender, now time.Time) (all []*genuine) {
	t.Helper()
	iso, ms := now.UTC().Format(time.RFC3339), now.UnixMilli()
	const call, sms = "CallSid=CA1&CallStatus=in-progress", "MessageSid=SM1&SmsStatus=received&Body=a+b"
	requests := map[string][]signature.Request{
		"sanity":             {sanity(`{"slug":"hello"}`, ms, "k1")},
		"zendesk":            {zendesk(`{"a":1}`, iso, "i1"), zendesk("", iso, "i1")},
		"contentful":         {contentful(`{"a":1}`, ms, "k1")},
		"twilio":             {twilio("https://hooks.example.com/voice", call, call, "t1"), twilio("https://hooks.example.com/in?a=1", sms, sms, "t1")},
		"mandrill":           {mandrill(`[{"event":"a b"}]`, "mandrill_events=%5B%7B%22event%22%3A%22a+b%22%7D%5D")},
		"shopify":            {shopify(`{"a":1}`, "e1", "orders/create")},
		"pandadoc":           {pandadoc(`[{"event":"x"}]`, "e1")},
		"github":             {github(`{"a":1}`, "d1", "issues")},
		"pylon":              {pylon(`{"a":1}`, now)},
		"revolut":            {revolut(`{"event":"ORDER_PAYMENT_DECLINED","order_id":"o1"}`, now)},
		"zoom":               {zoom(`{"event":"meeting.ended","event_ts":1}`, now)},
		"sinch-conversation": {sinch(`{"a":1}`, "n1", now)},
		"attio":              {attio(`{"webhook_id":"w","events":[]}`, "k1")},
		"hookdeck":           {hookdeck(`{"id":"tr_1"}`, "e1")},
		"woocommerce":        {woo(`{"id":1}`, "d1", "order.created")},
		"monday":             {monday("t1", now)},
		"treezor":            {treezor("w1", `{"card":"a\/b"}`)},
		"gocardless":         {gocardless(`{"events":[{"id":"E1"}]}`), gocardless(`{"events":[{"x":1}]}`)},
		"fastspring":         {fastspring(`{"events":[{"type":"a"}]}`)},
		"xero":               {xero(`{"events":[{"resourceId":"r","eventDateUtc":"t"}],"entropy":"a"}`)},
		"docusign":           {docusign(`<a>1</a>`)},
	}[name]
	for i, r := range requests {
		key, err := sender.NewKey(copySecret)
		if err != nil {
			t.Fatal(err)
		}
		r.Method = http.MethodPost
		all = append(all, &genuine{name: "signed here " + strconv.Itoa(i), sender: sender, secrets: []signature.Secret{{Key: key}}, now: now, request: r})
	}
	if signs, ok := urlSenders[name]; ok {
		key, err := sender.NewKey(urlSecret)
		if err != nil {
			t.Fatal(err)
		}
		r := signs.asks(t, "https://hooks.example.com/in?order=1", "https://hooks.example.com/in?order=1", now)
		all = append(all, &genuine{name: "signed with its URL", sender: sender, secrets: []signature.Secret{{Key: key}}, now: now, request: r})
	}
	return all
}
