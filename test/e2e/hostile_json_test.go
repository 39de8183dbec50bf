package e2e

import (
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Unusual IDs, correctly signed. Each names its own event or is refused; none is
// mistaken for another.
func TestOddIDs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1024)
	app := testbed.StartApp(t, nil)
	g := setup{store: "memory", app: app}.start(t)
	s := testbed.DocRouter()
	cases := map[string]struct {
		id     string // as JSON; several are the keys' values in turn
		result string
		seen   string // by the app; empty where no ID is passed on
	}{
		"a string":                    {`"ev-1"`, "forwarded", "ev-1"},
		"a number":                    {`17`, "forwarded", "17"},
		"2^53":                        {`9007199254740992`, "forwarded", "9007199254740992"},
		"2^53 and one":                {`9007199254740993`, "forwarded", "9007199254740993"},
		"too large for a float":       {`1e400`, "forwarded", "1e400"},
		"minus zero":                  {`-0`, "forwarded", "-0"},
		"zero":                        {`0`, "forwarded", "0"},
		"a fraction":                  {`1.0`, "forwarded", "1.0"},
		"one":                         {`1`, "forwarded", "1"},
		"1 KiB":                       {`"` + long + `"`, "forwarded", long},
		"1 KiB and a byte":            {`"` + long + `y"`, "id_malformed", ""},
		"digits, 1 KiB and a byte":    {strings.Repeat("7", 1025), "id_malformed", ""},
		"empty":                       {`""`, "forwarded", ""},
		"null":                        {`null`, "forwarded", ""},
		"true":                        {`true`, "id_malformed", ""},
		"an object":                   {`{"id":"ev-1"}`, "id_malformed", ""},
		"a list":                      {`["ev-2"]`, "id_malformed", ""},
		"a space":                     {`" "`, "forwarded", "%20"},
		"NUL":                         {`"a\u0000b"`, "forwarded", "a%00b"},
		"a line break":                {`"a\r\nWebhook-Guard: x"`, "forwarded", "a%0D%0AWebhook-Guard: x"},
		"not ASCII":                   {`"é請🧾"`, "forwarded", "%C3%A9%E8%AB%8B%F0%9F%A7%BE"},
		"composed otherwise":          {`"e\u0301請🧾"`, "forwarded", "e%CC%81%E8%AB%8B%F0%9F%A7%BE"},
		"half a surrogate pair":       {`"\ud800"`, "forwarded", "%ED%A0%80"},
		"percent":                     {`"100%25"`, "forwarded", "100%2525"},
		"twice: the first one counts": {`"ev-first","event_id":"ev-last"`, "forwarded", "ev-first"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			calls := app.Count()
			e := testbed.Event{}.Fill()
			body := []byte(`{"event_id":` + tc.id + `,"event_type":"llm.completed"}`)
			status := map[string]int{"forwarded": 200, "id_malformed": 400}[tc.result]
			want(t, testbed.Do(t, s.RequestWith(t, g.URL(""), body, e)), status, tc.result)
			if status != 200 {
				wantCalls(t, app, calls)
				return
			}
			d := wantDelivered(t, app, calls+1, body)
			if got := d.Header.Get("Webhook-Guard-Id"); got != tc.seen {
				t.Errorf("the app got the ID %q, want %q", got, tc.seen)
			}
			// Without an ID the content identifies a copy.
			want(t, testbed.Do(t, s.RequestWith(t, g.URL(""), body, e)), 200, "duplicate")
			wantCalls(t, app, calls+1)
		})
	}
}

// The first of two equal keys counts. Which one the app reads is up to it: the sender
// signed both. A copy is recognised.
func TestTheFirstOfTwoKeysNamesTheEvent(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := setup{store: "memory", app: app}.start(t)
	s := testbed.DocRouter()
	send := func(body, result string) {
		t.Helper()
		want(t, testbed.Do(t, s.RequestWith(t, g.URL(""), []byte(body), testbed.Event{})), 200, result)
	}
	send(`{"event_id":"a","event_id":"b"}`, "forwarded")
	send(`{"event_id":"a","event_id":"c"}`, "duplicate")
	send(`{"event_id":"b","event_id":"a"}`, "forwarded")
	send(`{"data":{"event_id":"x"},"event_id":"a"}`, "duplicate")
	send(`{"event\u005fid":"a","event_id":"d"}`, "duplicate") // the same key, escaped
	wantCalls(t, app, 2)
}

// Deeply nested JSON crashes neither the process nor the request, also where bodies are
// parsed before their signature is verified.
func TestDeepJSONIsHarmless(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: strings.Join([]string{
		route("", "docrouter", proxy(app), "secret "+testbed.DocRouter().Secret),
		route("", "struktr", proxy(app), "secret "+testbed.Struktr().Secret),
		route("", "adyen-standard", proxy(app), "secret 00112233445566778899aabbccddeeff"),
	}, "\n")}.start(t)
	fill := func(open string) string { return strings.Repeat(open, (10*mebibyte-100)/len(open)) }
	for name, tc := range map[string]struct {
		sender testbed.Sender
		body   string
		status int
		result string
	}{
		"forged items":             {testbed.Sender{Name: "adyen-standard"}, `{"notificationItems":[` + fill("["), 401, "signature_malformed"},
		"forged items, of objects": {testbed.Sender{Name: "adyen-standard"}, `{"notificationItems":[` + fill(`{"a":`), 401, "signature_malformed"},
		"signed lists":             {testbed.DocRouter(), fill("["), 200, "forwarded"},
		"signed objects":           {testbed.DocRouter(), fill(`{"event_id":`), 400, "id_malformed"},
		"signed, before the ID":    {testbed.DocRouter(), `{"a":` + fill("[") + `,"event_id":"x"}`, 200, "forwarded"},
		"an event time too deep":   {testbed.Struktr(), `{"timestamp":` + fill(`{"timestamp":`), 403, "timestamp_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			req := testbed.Struktr().RequestWith(t, g.URL(""), nil, testbed.Event{})
			if tc.sender.Secret != "" {
				req = tc.sender.RequestWith(t, g.URL(""), []byte(tc.body), testbed.Event{})
			} else {
				req.URL.Path = "/webhooks/" + tc.sender.Name
				req = withBody(req, []byte(tc.body))
			}
			want(t, testbed.Do(t, req), tc.status, tc.result)
		})
	}
	want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), testbed.Event{})), 200, "forwarded")
}
