package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// ownNames are the guard's headers, in spellings that some app folds into them.
var ownNames = []string{
	"Webhook-Guard", "webhook-guard", "WEBHOOK-GUARD", "wEBHOOK-gUARD", "Webhook_Guard", "webhook.guard", "WEBHOOK_GUARD",
	"Webhook-Guard-Id", "webhook-guard-id", "WEBHOOK-GUARD-ID", "Webhook-Guard_Id", "Webhook_Guard-Id", "WEBHOOK_GUARD_ID",
	"webhook_guard_id", "Webhook.Guard.Id", "Webhook-Guard.Id", "webhook_guard.ID", "Webhook~Guard!Id",
	"Webhook-Guard-Event", "Webhook_Guard_Event", "Webhook-Guard-Provider", "Webhook.Guard.Provider", "Webhook-Guard-Time",
	"Webhook-Guard-Scope", "webhook_guard_scope", "Webhook-Guard-Signed", "Webhook.Guard_Signed", "Webhook-Guard-Secret", "Webhook_Guard_Anything-Else",
}

// letIn has Caddy keep headers that it drops by default: those with a `_` or a `.` in
// their name.
func letIn() string {
	var underscores, dots strings.Builder
	for _, name := range ownNames {
		if strings.Contains(name, "_") {
			underscores.WriteString(" " + name)
		}
		if strings.Contains(name, ".") {
			dots.WriteString(" " + name)
		}
	}
	return fmt.Sprintf("servers {\n\t\texpected_underscore_headers%s\n\t\texpected_dot_headers%s\n\t}", &underscores, &dots)
}

// spoofs are additions to a genuine request: header lines, and trailers after a chunked
// body.
type spoof struct{ lines, trailers []string }

func spoofs() map[string]spoof {
	all := make(map[string]spoof)
	for _, name := range ownNames {
		all["header "+name] = spoof{lines: []string{name + ": spoofed"}}
		all["header "+name+", empty"] = spoof{lines: []string{name + ":"}}
		all["trailer "+name] = spoof{lines: []string{"Trailer: " + name}, trailers: []string{name + ": spoofed"}}
		all["trailer "+name+", not announced"] = spoof{trailers: []string{name + ": spoofed"}}
		all["Connection "+name] = spoof{lines: []string{"Connection: " + name}}
	}
	all["header twice"] = spoof{lines: []string{"Webhook-Guard-Id: a", "Webhook-Guard-Id: b"}}
	all["header and Connection"] = spoof{lines: []string{"Webhook-Guard-Id: a", "Connection: Webhook-Guard-Id"}}
	all["a list in Connection"] = spoof{lines: []string{"Connection: keep-alive,webhook-guard ,\tWEBHOOK-GUARD-ID,, Webhook-Guard-Event, x"}}
	all["two Connections"] = spoof{lines: []string{"Connection: Webhook-Guard", "connection: Webhook-Guard-Id, Webhook-Guard-Time"}}
	all["Connection, closing"] = spoof{lines: []string{"Connection: close, Webhook-Guard-Provider"}}
	all["Connection names Connection"] = spoof{lines: []string{"Connection: Connection, Webhook-Guard-Id"}}
	all["trailers many"] = spoof{
		lines:    []string{"Trailer: Webhook-Guard, Webhook-Guard-Id", "Trailer: X-Other"},
		trailers: []string{"Webhook-Guard: verified", "Webhook-Guard-Id: spoofed", "X-Other: 1", "X-Struktr-Delivery: other"},
	}
	return all
}

func TestSenderCannotSpeakInTheGuardsName(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		for name, options := range map[string]string{"as Caddy is": "", "with every header let in": letIn()} {
			t.Run(name, func(t *testing.T) {
				app := testbed.StartApp(t, nil)
				g := setup{store: store, app: app, global: options}.start(t)
				for _, s := range []testbed.Sender{testbed.Struktr(), testbed.OkraPDF()} {
					plain := spoofed(t, g, app, s, spoof{})
					for name, c := range spoofs() {
						t.Run(s.Name+", "+name, func(t *testing.T) {
							got := spoofed(t, g, app, s, c)
							if !slices.Equal(headerNames(got), headerNames(plain)) {
								t.Errorf("the app got the headers\n%q, without the spoof\n%q", headerNames(got), headerNames(plain))
							}
							if len(got.Trailer) > 0 {
								t.Errorf("the app got the trailers %v", got.Trailer)
							}
						})
					}
				}
			})
		}
	})
}

// spoofed sends a genuine event with a spoof and returns the app's delivery, which must
// have the body as sent and the guard's own headers.
func spoofed(t *testing.T, g *testbed.Gateway, app *testbed.App, s testbed.Sender, c spoof) testbed.Delivery {
	t.Helper()
	calls := app.Count()
	e := testbed.Event{}.Fill()
	body := s.Body(e)
	req := s.Request(t, g.URL(""), e)
	conn := dial(t, req)
	say(t, conn, wire(req, append(slices.Clone(c.lines), "Transfer-Encoding: chunked")...)+chunk(string(body))+"0\r\n")
	for _, trailer := range c.trailers {
		say(t, conn, trailer+"\r\n")
	}
	say(t, conn, "\r\n")
	want(t, hear(t, conn), 200, "forwarded")
	d := wantDelivered(t, app, calls+1, body)
	wantHeaders(t, d, facts(s, e))
	return d
}

// headerNames are the names of a delivery's headers, except for those that a spoof may
// change without a meaning.
func headerNames(d testbed.Delivery) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(d.Header)) {
		if name != "Connection" && name != "X" {
			names = append(names, name)
		}
	}
	return names
}

// A header whose name only begins alike is the sender's own.
func TestHeadersOfOtherNamesAreLeftAlone(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := setup{store: store, app: app}.start(t)
		s := testbed.Struktr()
		names := []string{"Webhook-Guardian", "Webhook-Id", "Webhook", "X-Webhook-Guard-Id", "Guard-Id"}
		req := s.Request(t, g.URL(""), testbed.Event{})
		for _, name := range names {
			req.Header.Set(name, "kept")
		}
		want(t, testbed.Do(t, req), 200, "forwarded")
		wantCalls(t, app, 1)
		for _, name := range names {
			if got := last(t, app).Header.Values(name); strings.Join(got, ",") != "kept" {
				t.Errorf("the app got %s: %q", name, got)
			}
		}
	})
}

// Even where nothing is verified, only the guard sets its headers.
func TestUnverifiedRequestIsNotCalledVerified(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		s := testbed.OkraPDF()
		g := site{store: store, routes: route("", s.Name, proxy(app), "insecure_unsigned")}.start(t)
		e := testbed.Event{}.Fill()
		req := s.Request(t, g.URL(""), e)
		req.Header.Set("Webhook-Guard", "verified")
		want(t, testbed.Do(t, req), 200, "forwarded")
		d := wantDelivered(t, app, 1, s.Body(e))
		expected := facts(s, e)
		delete(expected, "Webhook-Guard")
		wantHeaders(t, d, expected)
		want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "duplicate")
		wantCalls(t, app, 1)
	})
}
