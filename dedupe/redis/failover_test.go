package redis_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// losses are the ways in which a master goes, and comes back.
var losses = map[string]struct{ begin, end func(*testbed.Redis) }{
	"killed": {(*testbed.Redis).Stop, (*testbed.Redis).Start},
	"frozen": {(*testbed.Redis).Freeze, (*testbed.Redis).Thaw},
}

// back is how soon a store answers again once there is a master. In truth it is within a
// second or two; the machine may be busy.
const back = 3 * time.Minute

// load is gateways at work on events of their own. Errors are no failure: they become a
// 503, and the sender comes again.
type load struct {
	t      *testing.T
	stores []*redis.Store
	stop   context.CancelFunc
	all    sync.WaitGroup
	failed atomic.Int64
}

func newLoad(t *testing.T, o redis.Options) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{t: t, stop: stop}
	for range 2 {
		r := newRedis(t, o)
		l.stores = append(l.stores, r)
		for range 4 {
			l.all.Go(func() {
				// A sender would come again too, only later. Without the pause the load takes
				// the processors from the servers.
				for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
					if settleOwn(ctx, r) != nil {
						l.failed.Add(1)
					}
				}
			})
		}
	}
	t.Cleanup(func() { stop(); l.all.Wait() })
	return l
}

// settleOwn takes an event from claim to commit.
func settleOwn(ctx context.Context, r *redis.Store) error {
	ev, tok := dedupe.Event{Content: dedupe.Key(dedupe.NewToken()), ID: dedupe.Key(dedupe.NewToken())}, dedupe.NewToken()
	if _, err := r.Claim(ctx, ev, tok, testkit.TTL); err != nil {
		return err
	}
	if err := r.Renew(ctx, ev, tok, testkit.TTL); err != nil {
		return err
	}
	return r.Commit(ctx, ev, dedupe.Success{Status: 200}, testkit.TTL)
}

// goesWell waits until each store has settled a row of events without an error.
func (l *load) goesWell() {
	l.t.Helper()
	begun := time.Now()
	for _, r := range l.stores {
		row := 0
		var last error
		for end := time.Now().Add(back); row < 20; row++ {
			if err := settleOwn(l.t.Context(), r); err != nil {
				row, last = 0, err
			}
			if time.Now().After(end) {
				l.t.Fatalf("not back within %s: %v", back, last)
			}
		}
	}
	l.t.Logf("well after %s; %d steps have failed so far", time.Since(begun).Round(time.Millisecond), l.failed.Load())
}

func (l *load) end() {
	l.stop()
	l.all.Wait()
}

// contest is gateways that contend for a few keys. It fails the test when a key has two
// holders.
type contest struct {
	t             *testing.T
	contents, ids [3]dedupe.Key
	holders       [6]atomic.Int32
	stores        []*redis.Store
	won, failed   atomic.Int64
	stop          context.CancelFunc
	all           sync.WaitGroup
}

func newContest(t *testing.T, o redis.Options) *contest {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	c := &contest{t: t, stop: stop}
	for i := range c.ids {
		c.contents[i], c.ids[i] = dedupe.Key(dedupe.NewToken()), dedupe.Key(dedupe.NewToken())
	}
	for range 3 {
		r := newRedis(t, o)
		c.stores = append(c.stores, r)
		for range 4 {
			c.all.Go(func() {
				for ; ctx.Err() == nil; time.Sleep(time.Millisecond) {
					c.try(r)
				}
			})
		}
	}
	t.Cleanup(c.end)
	c.goOn()
	return c
}

// try claims one of the events, and holds it for a moment.
func (c *contest) try(r *redis.Store) {
	ctx := context.Background() // what was begun is released
	i, j := rand.IntN(len(c.contents)), rand.IntN(len(c.ids))
	ev, tok := dedupe.Event{Content: c.contents[i], ID: c.ids[j]}, dedupe.NewToken()
	a, err := r.Claim(ctx, ev, tok, testkit.TTL)
	if err == nil && a.State == dedupe.Claimed {
		if c.holders[i].Add(1) != 1 || c.holders[len(c.contents)+j].Add(1) != 1 {
			c.t.Error("a key has two holders")
		}
		c.holders[i].Add(-1)
		c.holders[len(c.contents)+j].Add(-1)
		c.won.Add(1)
	}
	for err != nil || r.Release(ctx, ev, tok) != nil {
		c.failed.Add(1)
		if err = r.Release(ctx, ev, tok); err == nil {
			return
		}
	}
}

// goOn waits until more claims have been won.
func (c *contest) goOn() {
	c.t.Helper()
	want := c.won.Load() + 100
	testbed.Eventually(c.t, testkit.Patient, func() bool { return c.won.Load() >= want }, "a hundred more claims won")
}

// end stops the contest, and checks that nobody has kept anything.
func (c *contest) end() {
	c.stop()
	c.all.Wait()
	if c.t.Context().Err() != nil {
		return
	}
	for i := range c.ids {
		for _, k := range []dedupe.Key{c.contents[i], c.ids[i]} {
			if rec, err := c.stores[0].Lookup(c.t.Context(), k); err != nil || rec.State != dedupe.Absent {
				c.t.Errorf("in the end a key is %+v, %v; want absent", rec, err)
			}
		}
	}
	c.t.Logf("%d claims won, %d steps failed", c.won.Load(), c.failed.Load())
}
