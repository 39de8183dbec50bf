package inboxes

import (
	"context"
	"testing"
	"time"
)

// A store that gives out events and takes no settlements is not emptied into the memory of
// the gateway.
func TestWhatIsNotSettledIsBounded(t *testing.T) {
	run(t, Config{}, answers(200), func(g *rig) {
		g.store.closed.Store(true)
		g.put(500)
		wait(lease / 2)
		if n := g.calls.Load(); n < int64(mostUnsettled) || n > int64(mostUnsettled+defaultConcurrency) {
			t.Errorf("the app got %d events, want %d and what it gets at once", n, mostUnsettled)
		}
		g.store.closed.Store(false)
		wait(time.Minute)
		if s := g.status(); s.Done != 500 {
			t.Errorf("%+v when the store takes settlements again", s)
		}
	})
}

// While an inbox is paused, an event that is put costs no look at the store, and the first
// one afterwards is delivered at once all the same.
func TestAPausedInboxIsNotAskedAtEachEvent(t *testing.T) {
	run(t, Config{}, answers(200), func(g *rig) {
		pause := func(paused bool) {
			if err := g.queue.Pause(context.Background(), paused); err != nil {
				t.Fatal(err)
			}
		}
		pause(true)
		before := g.store.takes.Load()
		for range 1000 {
			g.put(1)
			wait(time.Millisecond)
		}
		if n := g.store.takes.Load() - before; n > 30 {
			t.Errorf("1000 events in a second made the worker ask %d times, want about 10 a second", n)
		}
		pause(false)
		wait(poll)
		g.put(1)
		wait(0)
		if s := g.status(); s.Done != 1001 {
			t.Errorf("%+v, want all delivered, the last one at once", s)
		}
	})
}
