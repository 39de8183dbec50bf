package caddymodule

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

func TestStripOwnHeadersTakesEverySpellingThatFolds(t *testing.T) {
	for name, own := range map[string]bool{
		"Webhook-Guard":            true,
		"webhook-guard":            true,
		"WEBHOOK-GUARD-ID":         true,
		"Webhook_Guard":            true,
		"Webhook.Guard.Provider":   true,
		"Webhook-Guard_Id":         true,
		"webhook_guard-Event":      true,
		"Webhook Guard Id":         true,
		"Webhook-Guard\tTime":      true,
		"Webhook!Guard~Time":       true,
		"Webhook-Guard-Not-Yet":    true,
		"Webhook-Guard-":           true,
		"Webhook--Guard":           false,
		"Webhook-Guardian":         false,
		"Webhook-Guard2":           false,
		"X-Webhook-Guard":          false,
		"-Webhook-Guard":           false,
		"Webhook-Guar":             false,
		"Webhookguard":             false,
		"Webhook":                  false,
		"Webhook-Id":               false,
		"Http-Webhook-Guard":       false,
		"Content-Type":             false,
		"":                         false,
		"Webhook-Guardé":           true,
		"Webhook-Guard-Id-Webhook": true,
	} {
		r := &http.Request{Header: http.Header{name: {"forged"}}}
		stripOwnHeaders(r)
		if _, kept := r.Header[name]; kept == own {
			t.Errorf("%q: kept %v, want %v", name, kept, !own)
		}
	}
}

func TestConnectionNamesOnlyWhatConcernsTheConnection(t *testing.T) {
	for _, tc := range []struct{ sent, want []string }{
		{nil, nil},
		{[]string{"close"}, []string{"close"}},
		{[]string{"Webhook-Guard"}, []string{}},
		{[]string{"webhook_guard-id, close"}, []string{"close"}},
		{[]string{"close,WEBHOOK.GUARD ,\tkeep-alive"}, []string{"close, keep-alive"}},
		{[]string{"Webhook-Guard-Event", "upgrade"}, []string{"upgrade"}},
		{[]string{" , ,"}, []string{}},
		{[]string{"X-Struktr-Signature, Keep-Alive"}, []string{"Keep-Alive"}},
		{[]string{"TE, Content-Type,Authorization", "Upgrade, HTTP2-Settings"}, []string{"TE", "Upgrade, HTTP2-Settings"}},
	} {
		r := &http.Request{Header: http.Header{"X-Other": {"1"}}}
		if tc.sent != nil {
			r.Header["Connection"] = tc.sent
		}
		stripOwnHeaders(r)
		if got := r.Header["Connection"]; !slices.Equal(got, tc.want) {
			t.Errorf("%q became %q, want %q", tc.sent, got, tc.want)
		}
	}
}

func TestHeaderSafeRoundTripsAndIsAValidValue(t *testing.T) {
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	for text, want := range map[string]string{
		"":                      "",
		"evt_1ABC-9:z/=+":       "evt_1ABC-9:z/=+",
		"two words":             "two words",
		" edge ":                "%20edge%20",
		" ":                     "%20",
		"  ":                    "%20%20",
		"100%":                  "100%25",
		"%0d":                   "%250d",
		"a\r\nX-Injected: 1":    "a%0D%0AX-Injected: 1",
		"tab\there":             "tab%09here",
		"nul\x00":               "nul%00",
		"del\x7f":               "del%7F",
		"grün":                  "gr%C3%BCn",
		"日本":                    "%E6%97%A5%E6%9C%AC",
		"\xff\xfe":              "%FF%FE",
		"a+b":                   "a+b",
		"{env.SECRET}":          "{env.SECRET}",
		string(everyByte):       "",
		strings.Repeat("é", 99): strings.Repeat("%C3%A9", 99),
	} {
		got := headerSafe(text)
		if want != "" && got != want {
			t.Errorf("headerSafe(%q) = %q, want %q", text, got, want)
		}
		printable := !strings.ContainsFunc(got, func(c rune) bool { return c < ' ' || c > '~' })
		if !printable || strings.TrimSpace(got) != got {
			t.Errorf("headerSafe(%q) = %q, which is no header value", text, got)
		}
		if back, err := url.PathUnescape(got); err != nil || back != text {
			t.Errorf("%q came back as %q, %v", text, back, err)
		}
	}
}

func TestHeaderSafeNeverMakesTwoTextsOne(t *testing.T) {
	seen := make(map[string]string)
	for _, text := range []string{"a b", "a%20b", "a%2520b", " a", "%20a", "ü", "%C3%BC", "%c3%bc"} {
		safe := headerSafe(text)
		if other, taken := seen[safe]; taken {
			t.Errorf("%q and %q both become %q", text, other, safe)
		}
		seen[safe] = text
	}
}

func TestSetVerifiedSaysWhatIsKnownAndNoMore(t *testing.T) {
	when := time.Date(2026, 3, 1, 12, 0, 0, 5_000_000, time.FixedZone("", 3600))
	for name, tc := range map[string]struct {
		edit  func(*Guard)
		event webhook.Event
		want  map[string]string
	}{
		"everything": {
			event: webhook.Event{Provider: "docrouter", Scope: "émile", ID: []string{"a", "b c\n"}, Type: "döne", Occurred: when,
				Covered: webhook.Covered{ID: true, Time: true}},
			want: map[string]string{headerResult: verified, headerProvider: "docrouter", headerScope: "%C3%A9mile", headerID: "a:b c%0A",
				headerEvent: "d%C3%B6ne", headerTime: "2026-03-01T11:00:00.005Z", headerSigned: "id time"},
		},
		"nothing": {
			event: webhook.Event{Provider: "docrouter", Scope: "docrouter"},
			want:  map[string]string{headerResult: verified, headerProvider: "docrouter", headerScope: "docrouter"},
		},
		"unsigned": {
			edit: func(g *Guard) {
				g.ProviderName, g.Token, g.Secret, g.InsecureUnsigned = "okrapdf", "", nil, true
			},
			event: webhook.Event{Provider: "okrapdf", Scope: "t", ID: []string{"a"}},
			want:  map[string]string{headerProvider: "okrapdf", headerScope: "t", headerID: "a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			sender := newBench(t, tc.edit).guard.sender
			header := make(http.Header)
			setVerified(header, &tc.event, sender.Authenticates())
			got := make(map[string]string)
			for name := range header {
				got[name] = header.Get(name)
			}
			if !maps.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestIDsOfAsManyPartsStayApart(t *testing.T) {
	inHeader := func(id []string) string { return (&webhook.Event{ID: id}).JoinID(headerSafe, headerSafeInner) }
	seen := make(map[string][]string)
	for _, id := range [][]string{{"x:y", "z"}, {"x", "y:z"}, {"x%3Ay", "z"}, {"x", "y", "z"}, {"x:", "y:z"}, {"x", ":y:z"}, {":", ""}, {"", ":"}} {
		for kind, joined := range map[string]string{"header ": inHeader(id), "placeholder ": (&webhook.Event{ID: id}).JoinedID()} {
			key := kind + strconv.Itoa(len(id)) + " " + joined
			if other, taken := seen[key]; taken {
				t.Errorf("%q and %q are both %q", id, other, key)
			}
			seen[key] = id
		}
	}
	for id, want := range map[string]string{"evt:1": "evt:1", "50%": "50%25"} {
		if got := inHeader([]string{id}); got != want {
			t.Errorf("%s became %s", id, got)
		}
	}
}

// What the sender put into the guard's headers never reaches the app, and
// neither do trailers, which nothing signs.
func TestTheAppSeesOnlyTheGuardsOwnHeaders(t *testing.T) {
	b := newBench(t, nil)
	r := b.request(event("1"))
	r.Header["Webhook-Guard-Id"] = []string{"forged"}
	r.Header["Webhook_guard_event"] = []string{"forged"}
	r.Header["Webhook-Guard-Future"] = []string{"forged"}
	r.Header.Set("Connection", "Webhook-Guard-Id")
	r.Trailer = http.Header{"Webhook-Guard": {"forged"}}
	r.TransferEncoding = []string{"chunked"}
	r.GetBody = func() (io.ReadCloser, error) { return http.NoBody, nil }
	var seen *http.Request
	var got []byte
	_, err := b.serve(r, func(w http.ResponseWriter, r *http.Request) error {
		seen = r
		got, _ = io.ReadAll(r.Body)
		return says(http.StatusOK, "")(w, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	if id := seen.Header.Get(headerID); id != "1" {
		t.Errorf("the app got the ID %q", id)
	}
	for name, values := range seen.Header {
		if strings.Contains(strings.Join(values, " "), "forged") || name == "Connection" && len(values) > 0 {
			t.Errorf("the app got %s: %s", name, values)
		}
	}
	if seen.Header.Get("X-Token") != "" {
		t.Error("the app got the token")
	}
	if seen.Trailer != nil || seen.TransferEncoding != nil || seen.GetBody != nil {
		t.Error("trailers, transfer encoding and GetBody are left to the app")
	}
	if string(got) != event("1") || seen.ContentLength != int64(len(got)) {
		t.Errorf("the app got %q of length %d", got, seen.ContentLength)
	}
}

func TestAnEmptyBodyIsForwardedAsNone(t *testing.T) {
	b := newBench(t, nil)
	d := b.guard.newExchange(httptest.NewRecorder(), b.request(""))
	t.Cleanup(d.end)
	d.body.own(body.Of(nil))
	if err := (&route{x: d}).prepare(&d.event); err != nil {
		t.Fatal(err)
	}
	if d.r.Body != http.NoBody || d.r.ContentLength != 0 {
		t.Errorf("body %v of length %d", d.r.Body, d.r.ContentLength)
	}
}
