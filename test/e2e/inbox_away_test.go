package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// absence is a way in which the store of a running gateway can be away.
type absence struct {
	store string // what follows `store`
	begin func(*testbed.Gateway)
	end   func(*testbed.Gateway)
	full  bool // only what changes something fails
}

// acceptedInTheEnd has the guard accept n new events, whose senders try again while the store does
// not answer: its timeout is the default one, which a busy machine may exceed.
func acceptedInTheEnd(t *testing.T, g *testbed.Gateway, n int) (events []testbed.Event) {
	t.Helper()
	for range n {
		e := testbed.Event{}.Fill()
		events = append(events, e)
		if resp := onceStoreAnswers(t, g, e); resp.Status != 200 || resp.Guard == "forwarded" {
			t.Fatalf("an event got %v, want it accepted", resp)
		}
	}
	return events
}

// storesAway are those that any system has.
var storesAway = map[string]func(t *testing.T) absence{
	"redis killed": func(t *testing.T) absence {
		redis := testbed.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
		return absence{store: "redis " + redis.URL(), begin: func(*testbed.Gateway) { redis.Stop() }, end: func(*testbed.Gateway) { redis.Start() }}
	},
	"redis frozen": func(t *testing.T) absence {
		redis := testbed.StartRedis(t)
		return absence{store: "redis " + redis.URL(), begin: func(*testbed.Gateway) { redis.Freeze() }, end: func(*testbed.Gateway) { redis.Thaw() }}
	},
	"disk removed":           func(t *testing.T) absence { return movedAway(t, "") },
	"inboxes' files removed": func(t *testing.T) absence { return movedAway(t, "inbox") },
	"disk replaced": func(t *testing.T) absence {
		o := movedAway(t, "")
		dir := o.store[len("disk "):]
		return absence{
			store: o.store,
			begin: func(g *testbed.Gateway) { o.begin(g); mkdir(t, dir, 0o700) },
			end:   func(g *testbed.Gateway) { must(t, os.RemoveAll(dir)); o.end(g) },
		}
	},
}

// movedAway has a part of a disk's directory taken away, and put back.
func movedAway(t *testing.T, part string) absence {
	dir := filepath.Join(t.TempDir(), "store")
	at := filepath.Join(dir, part)
	return absence{
		store: "disk " + dir,
		begin: func(*testbed.Gateway) { must(t, os.Rename(at, at+".away")) },
		end:   func(*testbed.Gateway) { must(t, os.Rename(at+".away", at)) },
	}
}

// While the store is away, senders get a 503. When it is back everything goes on by itself:
// each event that was accepted before is delivered, and so is what its sender sends again; the
// app's success that came meanwhile counts; and nothing is delivered twice.
func TestAnInboxWhoseStoreIsAwayGoesOnWhenItIsBack(t *testing.T) {
	t.Parallel()
	for name, prepare := range storesAway {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := prepare(t)
			hold := newGate(t)
			s := inboxSetup{store: o.store, app: testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
				if d.N == 1 {
					return testbed.Answer{Wait: hold.c}
				}
				return testbed.Answer{}
			}), lines: "concurrency 1", guard: "lease 3s"}
			g := s.start(t)
			events := acceptedInTheEnd(t, g, 1)
			s.app.WaitCount(1)
			events = append(events, acceptedInTheEnd(t, g, 2)...) // which wait for their turn
			o.begin(g)
			// That a directory is gone is noticed within seconds: what is accepted until then is in it.
			for resp := (testbed.Response{Status: 200}); resp.Status == 200; {
				e := testbed.Event{}.Fill()
				events = append(events, e)
				if resp = deliverTo(t, g, e); resp.Status != 200 {
					wantRefused(t, resp, 503, "store_unavailable")
				}
			}
			if !o.full {
				testbed.Eventually(t, soon, func() bool {
					_, err := inboxCommand(t, g, "resume", "docrouter", "--reason", "nothing changes")
					return err != nil
				}, "the inbox to notice it, too")
			}
			hold.open()
			g.WaitOutput("the store does not take the outcome of an attempt")
			wantRefused(t, deliverTo(t, g, events[len(events)-1]), 503, "store_unavailable")
			o.end(g)
			for _, e := range events {
				becomes(t, g, e, "duplicate")
			}
			events = append(events, acceptedInTheEnd(t, g, 1)...)
			becomes(t, g, events[len(events)-1], "duplicate")
			for _, e := range events {
				if n := len(deliveriesOf(s.app, e)); n != 1 {
					t.Errorf("an event was delivered %d times", n)
				}
			}
			wantCalls(t, s.app, len(events))
		})
	}
}
