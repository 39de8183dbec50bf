package e2e

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// facts are the guard's headers about an event, as the app must get them.
func facts(s testbed.Sender, e testbed.Event) map[string]string {
	stamp := e.Time.UTC().Format(time.RFC3339)
	about := map[string]struct{ id, event, time, signed string }{
		"okrapdf":   {"document.completed:doc-" + e.ID + ":" + stamp, "document.completed", stamp, ""},
		"struktr":   {"dlv_" + e.ID, "document.completed", stamp, "event time"},
		"docintell": {"document.processing.completed:d-" + e.ID + ":j-" + e.ID, "document.processing.completed", stamp, "id event time"},
		"ocriva":    {"evt_" + e.ID, "document.processed", e.Time.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano), "id event time"},
		"docrouter": {"ev-" + e.ID, "llm.completed", e.Sent.UTC().Format(time.RFC3339), "id event time"},
	}[s.Name]
	all := map[string]string{
		"Webhook-Guard":          "verified",
		"Webhook-Guard-Provider": s.Name,
		"Webhook-Guard-Scope":    s.Name,
		"Webhook-Guard-Id":       about.id,
		"Webhook-Guard-Event":    about.event,
		"Webhook-Guard-Time":     about.time,
		"Webhook-Guard-Signed":   about.signed,
	}
	if about.signed == "" {
		delete(all, "Webhook-Guard-Signed")
	}
	return all
}

// writings are ways to write down an event that leave its meaning alone. A proxy that
// re-encoded or truncated bodies would change one of them.
var writings = map[string]func(body []byte) []byte{
	"as documented":      func(body []byte) []byte { return body },
	"trailing newline":   func(body []byte) []byte { return append(body, '\n') },
	"spaces around":      func(body []byte) []byte { return []byte("\r\n\t " + string(body) + " \r\n\r\n") },
	"unicode":            noted("Grüße, 請求書 🧾 e\u0301 \u2028 \ufeff"),
	"escapes":            noted(`\u0000 \ud83e\uddfe \/ <&>`),
	"not UTF-8":          noted("caf\xe9 \xff\xfe"),
	"a zero in the text": noted("a\x00b"),
	"1 MiB": func(body []byte) []byte {
		return noted(strings.Repeat("0123456789abcdef", 1<<16))(body)
	},
}

// noted adds a text to an event.
func noted(text string) func([]byte) []byte {
	return func(body []byte) []byte {
		return append([]byte(`{"note":"`+text+`",`), body[1:]...)
	}
}

func TestGenuineEventReachesTheAppAsItWasSent(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
			return testbed.Answer{Status: 201, Header: http.Header{"X-App": {"one", "two"}}, Body: []byte("thanks")}
		})
		g := setup{store: store, app: app}.start(t)
		for _, s := range testbed.Senders() {
			for name, write := range writings {
				for how, send := range map[string]func(*http.Request) *http.Request{
					"with its length": func(req *http.Request) *http.Request { return req },
					"in chunks":       chunked,
				} {
					t.Run(s.Name+", "+name+", "+how, func(t *testing.T) {
						genuineOnce(t, s, app, write, func(body []byte, e testbed.Event) testbed.Response {
							return testbed.Do(t, send(s.RequestWith(t, g.URL(""), body, e)))
						})
					})
				}
			}
		}
	})
}

func genuineOnce(t *testing.T, s testbed.Sender, app *testbed.App, write func([]byte) []byte,
	send func([]byte, testbed.Event) testbed.Response,
) {
	calls := app.Count()
	// Distinct times show which one is passed on.
	now := time.Now()
	e := testbed.Event{Time: now.Add(-20*time.Second - 123*time.Millisecond), Sent: now.Add(-7 * time.Second)}.Fill()
	body := write(s.Body(e))

	resp := send(body, e)
	want(t, resp, 201, "forwarded")
	if got := resp.Header.Values("X-App"); len(got) != 2 || string(resp.Body) != "thanks" {
		t.Errorf("the sender got X-App %q and the body %q, not the app's", got, resp.Body)
	}
	d := wantDelivered(t, app, calls+1, body)
	wantHeaders(t, d, facts(s, e))
	if d.Method != http.MethodPost || d.URL != "/webhooks/"+s.Name {
		t.Errorf("the app got %s %s", d.Method, d.URL)
	}
	// The app gets the sender's own headers.
	sent := s.RequestWith(t, "", body, e).Header
	for name, values := range sent {
		if got := d.Header.Values(name); len(got) != 1 || got[0] != values[0] {
			t.Errorf("the app got %s: %q, want %q", name, got, values)
		}
	}

	again := send(body, e)
	want(t, again, 201, "duplicate")
	if len(again.Body) > 0 || again.Header.Get("X-App") != "" {
		t.Errorf("the duplicate got the body %q and X-App %q, want neither", again.Body, again.Header.Get("X-App"))
	}
	wantCalls(t, app, calls+1)
}

// forgery turns an event into a request that its sender never made.
type forgery struct {
	result string
	make   func(t *testing.T, s testbed.Sender, base string, e testbed.Event) *http.Request
}

// headerForgery changes the signature of a genuine request.
func headerForgery(result string, change func(signature string) []string) forgery {
	return forgery{result, func(t *testing.T, s testbed.Sender, base string, e testbed.Event) *http.Request {
		req := s.Request(t, base, e)
		name := http.CanonicalHeaderKey(s.SignatureHeader)
		values := change(req.Header.Get(name))
		delete(req.Header, name)
		if values != nil {
			req.Header[name] = values
		}
		return req
	}}
}

// bodyForgery changes the body of a genuine request.
func bodyForgery(change func(body []byte) []byte) forgery {
	return forgery{"signature_invalid", func(t *testing.T, s testbed.Sender, base string, e testbed.Event) *http.Request {
		return withBody(s.Request(t, base, e), change(s.Body(e)))
	}}
}

// flip changes one bit of the byte at a place between 0, the first, and 1, the last.
func flip(place float64) func([]byte) []byte {
	return func(body []byte) []byte {
		changed := bytes.Clone(body)
		changed[int(place*float64(len(body)-1))] ^= 1
		return changed
	}
}

var forgeries = map[string]forgery{
	"wrong secret": {"signature_invalid", func(t *testing.T, s testbed.Sender, base string, e testbed.Event) *http.Request {
		s.Secret += "x"
		return s.Request(t, base, e)
	}},
	"no secret at all": {"signature_invalid", func(t *testing.T, s testbed.Sender, base string, e testbed.Event) *http.Request {
		s.Secret = ""
		return s.Request(t, base, e)
	}},
	"first byte changed":  bodyForgery(flip(0)),
	"middle byte changed": bodyForgery(flip(0.5)),
	"last byte changed":   bodyForgery(flip(1)),
	"newline added":       bodyForgery(func(body []byte) []byte { return append(bytes.Clone(body), '\n') }),
	"last byte missing":   bodyForgery(func(body []byte) []byte { return body[:len(body)-1] }),
	"body missing":        bodyForgery(func([]byte) []byte { return nil }),
	"signature of another event": {"signature_invalid", func(t *testing.T, s testbed.Sender, base string, e testbed.Event) *http.Request {
		return withBody(s.Request(t, base, testbed.Event{}), s.Body(e))
	}},
	"missing": headerForgery("signature_missing", func(string) []string { return nil }),
	"empty":   headerForgery("signature_malformed", func(string) []string { return []string{""} }),
	"only the prefix": headerForgery("signature_malformed", func(string) []string {
		return []string{"sha256="}
	}),
	"cut short by one": headerForgery("signature_malformed", func(signature string) []string {
		return []string{signature[:len(signature)-1]}
	}),
	"cut short by a byte": headerForgery("signature_malformed", func(signature string) []string {
		return []string{signature[:len(signature)-2]}
	}),
	"cut in half": headerForgery("signature_malformed", func(signature string) []string {
		return []string{signature[:len(signature)/2]}
	}),
	"longer": headerForgery("signature_malformed", func(signature string) []string {
		return []string{signature + "00"}
	}),
	"without its prefix": headerForgery("signature_malformed", func(signature string) []string {
		return []string{strings.TrimPrefix(signature, "sha256=")}
	}),
	"of zeros": headerForgery("signature_invalid", func(signature string) []string {
		return []string{"sha256=" + strings.Repeat("0", len(signature)-len("sha256="))}
	}),
	"two headers": headerForgery("signature_malformed", func(signature string) []string {
		return []string{signature, signature}
	}),
	"two headers, the first wrong": headerForgery("signature_malformed", func(signature string) []string {
		return []string{"sha256=" + strings.Repeat("0", 64), signature}
	}),
	"two headers, the second empty": headerForgery("signature_malformed", func(signature string) []string {
		return []string{signature, ""}
	}),
	"two in one header": headerForgery("signature_malformed", func(signature string) []string {
		return []string{signature + ", " + signature}
	}),
}

func TestForgedEventNeverReachesTheApp(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := setup{store: store, app: app}.start(t)
		for _, s := range testbed.Senders() {
			if s.SignatureHeader == "" {
				continue // see TestWrongTokenNeverReachesTheApp
			}
			all := maps.Clone(forgeries)
			if s.Name == "docrouter" {
				all["signed stamp changed"] = forgery{"signature_invalid", otherStamp}
			}
			for name, f := range all {
				t.Run(s.Name+", "+name, func(t *testing.T) {
					calls := app.Count()
					e := testbed.Event{}.Fill()
					wantRefused(t, testbed.Do(t, f.make(t, s, g.URL(""), e)), 401, f.result)
					wantCalls(t, app, calls)
					// The forger has not used up the event's ID.
					want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "forwarded")
					// Nor does it matter that the event is known.
					wantRefused(t, testbed.Do(t, f.make(t, s, g.URL(""), e)), 401, f.result)
					wantDelivered(t, app, calls+1, s.Body(e))
				})
			}
		}
	})
}

func otherStamp(t *testing.T, s testbed.Sender, base string, e testbed.Event) *http.Request {
	req := s.Request(t, base, e)
	req.Header.Set("X-DocRouter-Timestamp", strconv.FormatInt(e.Sent.Unix()+1, 10))
	return req
}

// Each sender signs with a secret of its own, which is refused on another's route.
func TestSecretOfAnotherSenderIsRefused(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := setup{store: store, app: app}.start(t)
		for _, s := range testbed.Senders() {
			for _, other := range testbed.Senders() {
				if other.Name == s.Name {
					continue
				}
				s, result := s, "signature_invalid"
				s.Secret = other.Secret
				if s.SignatureHeader == "" {
					result = "token_invalid"
				}
				wantRefused(t, testbed.Do(t, s.Request(t, g.URL(""), testbed.Event{})), 401, result)
			}
		}
		wantCalls(t, app, 0)
	})
}
