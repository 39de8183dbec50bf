package e2e

import (
	"maps"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// copies are the ways in which copies of one event arrive: as the same request,
// or, since Struktr's delivery ID is not signed, with only the content in common.
var copies = map[string]struct {
	sender testbed.Sender
	copyOf func(t *testing.T, base string, e testbed.Event, n int) *http.Request
}{
	"same signed ID":             {testbed.DocRouter(), sameRequest(testbed.DocRouter())},
	"same unsigned ID":           {testbed.Struktr(), sameRequest(testbed.Struktr())},
	"same content, new delivery": {testbed.Struktr(), otherDeliveryID},
}

func sameRequest(s testbed.Sender) func(*testing.T, string, testbed.Event, int) *http.Request {
	return func(t *testing.T, base string, e testbed.Event, _ int) *http.Request {
		return s.Request(t, base, e)
	}
}

func otherDeliveryID(t *testing.T, base string, e testbed.Event, _ int) *http.Request {
	req := testbed.Struktr().Request(t, base, e)
	req.Header.Set("X-Struktr-Delivery", "dlv_"+testbed.NewID())
	return req
}

func TestThirtyCopiesAtOnceReachTheAppOnce(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		for name, c := range copies {
			t.Run(name, func(t *testing.T) {
				hold := newGate(t)
				app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
					return testbed.Answer{Wait: hold.c}
				})
				g := setup{store: store, app: app, lines: "in_flight wait 30s"}.start(t)
				e := testbed.Event{}.Fill()
				var answered []<-chan reply
				for n := range 30 {
					answered = append(answered, sendAsync(c.copyOf(t, g.URL(""), e, n)))
				}
				app.WaitCount(1)
				bodiesRead(t, g, c.sender.Name, 30)
				wantCalls(t, app, 1)
				hold.open()
				got := tally(waitAll(t, answered))
				if expected := map[string]int{"200 forwarded": 1, "200 duplicate": 29}; !maps.Equal(got, expected) {
					t.Errorf("the thirty got %v, want %v", got, expected)
				}
				want(t, testbed.Do(t, c.copyOf(t, g.URL(""), e, 30)), 200, "duplicate")
				wantCalls(t, app, 1)
			})
		}
	})
}

func TestOneCopyTakesOverWhenTheFirstFails(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		for name, c := range copies {
			t.Run(name, func(t *testing.T) {
				hold := newGate(t)
				app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
					if d.N == 1 {
						return testbed.Answer{Status: 500, Body: []byte("out of paper"), Wait: hold.c}
					}
					return testbed.Answer{Status: 202}
				})
				g := setup{store: store, app: app, lines: "in_flight wait 30s"}.start(t)
				e := testbed.Event{}.Fill()
				first := sendAsync(c.copyOf(t, g.URL(""), e, 0))
				app.WaitCount(1)
				var others []<-chan reply
				for n := range 7 {
					others = append(others, sendAsync(c.copyOf(t, g.URL(""), e, n+1)))
				}
				bodiesRead(t, g, c.sender.Name, 8)
				hold.open()
				failed := wait(t, first)
				want(t, failed, 500, "upstream_failed")
				if string(failed.Body) != "out of paper" {
					t.Errorf("the first got the body %q, not the app's", failed.Body)
				}
				got := tally(waitAll(t, others))
				if expected := map[string]int{"202 forwarded": 1, "202 duplicate": 6}; !maps.Equal(got, expected) {
					t.Errorf("the others got %v, want %v", got, expected)
				}
				wantCalls(t, app, 2)
			})
		}
	})
}

// Each failure passes the event on to exactly one copy.
func TestCopiesTakeOverOneAtATime(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		working := make(chan struct{}, 1)
		app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
			select {
			case working <- struct{}{}:
			default:
				t.Errorf("call %d while another copy is with the app", d.N)
				return testbed.Answer{}
			}
			defer func() { <-working }()
			if d.N < 5 {
				return testbed.Answer{Status: 503}
			}
			return testbed.Answer{}
		})
		g := setup{store: store, app: app, lines: "in_flight wait 30s"}.start(t)
		e := testbed.Event{}.Fill()
		var answered []<-chan reply
		for range 10 {
			answered = append(answered, sendAsync(testbed.DocRouter().Request(t, g.URL(""), e)))
		}
		got := tally(waitAll(t, answered))
		if expected := map[string]int{"503 upstream_failed": 4, "200 forwarded": 1, "200 duplicate": 5}; !maps.Equal(got, expected) {
			t.Errorf("the ten got %v, want %v", got, expected)
		}
		wantCalls(t, app, 5)
	})
}

// A copy that does not learn the outcome gets a 503, never a 2xx: if the first one
// fails, the copy's sender must retry.
func TestCopyThatDoesNotLearnTheOutcomeGetsA503(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		var hold atomic.Pointer[gate]
		app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
			return testbed.Answer{Wait: hold.Load().c}
		})
		conf := setup{store: store, app: app, more: map[string]string{
			"/reject": "in_flight reject",
			"/short":  "in_flight wait 300ms",
		}}
		g := conf.start(t)
		gateways := map[string]*testbed.Gateway{"the same gateway": g}
		if isShared(store) {
			gateways["another gateway"] = conf.start(t)
		}
		for name, c := range copies {
			t.Run(name, func(t *testing.T) {
				hold.Store(newGate(t))
				e := testbed.Event{}.Fill()
				calls := app.Count()
				first := sendAsync(c.copyOf(t, g.URL(""), e, 0))
				app.WaitCount(calls + 1)
				for where, other := range gateways {
					for _, prefix := range []string{"/reject", "/short"} {
						resp := testbed.Do(t, c.copyOf(t, other.URL(prefix), e, 1))
						if resp.Status != 503 || resp.Guard != "in_flight" || resp.Header.Get("Retry-After") != "1" {
							t.Errorf("%s, %s: %v with Retry-After %q, want 503 in_flight and 1",
								where, prefix, resp, resp.Header.Get("Retry-After"))
						}
					}
				}
				wantCalls(t, app, calls+1)
				hold.Load().open()
				want(t, wait(t, first), 200, "forwarded")
				for _, other := range gateways {
					want(t, testbed.Do(t, c.copyOf(t, other.URL("/reject"), e, 2)), 200, "duplicate")
				}
				wantCalls(t, app, calls+1)
			})
		}
	})
}
