// Package storetest is the suite that every dedupe.Store passes: the promises of the
// interface, each as a test that fails if it is broken.
package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// Bench is the data of one test, empty at first, and the means to look at it.
type Bench struct {
	// Open returns a store on the data. Each call stands for one more gateway. Where a
	// store cannot be shared, it returns the same one. Open closes it when the test ends.
	Open func(t *testing.T) dedupe.Store
	// Short is a lease or time to live whose end Lapse can wait for.
	Short time.Duration
	// Lapse returns when every lease and time to live of Short so far has ended. The keys
	// are some that had one, for stores that can only poll.
	Lapse func(t *testing.T, keys ...dedupe.Key)
}

// long is a lease that never ends within a test.
const long = 10 * time.Minute

// Run runs the suite. It calls open for each test, which may run in parallel.
func Run(t *testing.T, open func(t *testing.T) Bench) {
	for _, group := range []map[string]func(*testing.T, Bench){claims, settling, replies, idTexts, races} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, open(t))
			})
		}
	}
}

// gateway is a store on which an unexpected error ends the test.
type gateway struct {
	t *testing.T
	dedupe.Store
}

func (b Bench) gateway(t *testing.T) gateway {
	t.Helper()
	return gateway{t, b.Open(t)}
}

func (g gateway) claim(ev dedupe.Event, tok dedupe.Token, lease time.Duration) dedupe.Answer {
	g.t.Helper()
	a, err := g.Claim(g.t.Context(), ev, tok, lease)
	if err != nil {
		g.t.Fatalf("claim: %v", err)
	}
	return a
}

// claimed claims ev, which must succeed.
func (g gateway) claimed(ev dedupe.Event, tok dedupe.Token, lease time.Duration) {
	g.t.Helper()
	g.want(g.claim(ev, tok, lease), dedupe.Answer{State: dedupe.Claimed})
}

func (g gateway) want(got, want dedupe.Answer) {
	g.t.Helper()
	if got != want {
		g.t.Fatalf("claim answered %+v, want %+v", got, want)
	}
}

func (g gateway) commit(ev dedupe.Event, status int, ttl time.Duration) {
	g.t.Helper()
	g.remember(ev, status, dedupe.Reply{}, ttl)
}

// remember commits ev with a reply.
func (g gateway) remember(ev dedupe.Event, status int, reply dedupe.Reply, ttl time.Duration) {
	g.t.Helper()
	if err := g.Commit(g.t.Context(), ev, dedupe.Success{Status: status, Reply: reply}, ttl); err != nil {
		g.t.Fatalf("commit: %v", err)
	}
}

func (g gateway) release(ev dedupe.Event, tok dedupe.Token) {
	g.t.Helper()
	if err := g.Release(g.t.Context(), ev, tok); err != nil {
		g.t.Fatalf("release: %v", err)
	}
}

// lost renews a claim that is not the caller's any more.
func (g gateway) lost(what string, ev dedupe.Event, tok dedupe.Token, lease time.Duration) {
	g.t.Helper()
	if err := g.Renew(g.t.Context(), ev, tok, lease); !errors.Is(err, dedupe.ErrLost) {
		g.t.Fatalf("%s: %v, want ErrLost", what, err)
	}
}

func (g gateway) lookup(k dedupe.Key) dedupe.Record {
	g.t.Helper()
	rec, err := g.Lookup(g.t.Context(), k)
	if err != nil {
		g.t.Fatalf("lookup: %v", err)
	}
	return rec
}

// states checks the state of each key.
func (g gateway) states(want map[dedupe.Key]dedupe.State) {
	g.t.Helper()
	for k, state := range want {
		if k.IsZero() {
			continue
		}
		if got := g.lookup(k).State; got != state {
			g.t.Fatalf("key %s is %s, want %s", k, got, state)
		}
	}
}

// event returns an event with two keys of its own.
func event() dedupe.Event {
	return dedupe.Event{Content: key("content"), ID: key("id")}
}

// key returns a key that no other test has.
func key(kind string) dedupe.Key {
	return dedupe.NewKey(kind, []byte(rand.Text()))
}

// shapes are events with every combination of identities.
func shapes() map[string]dedupe.Event {
	return map[string]dedupe.Event{
		"content and id": event(),
		"content only":   {Content: key("content")},
		"id only":        {ID: key("id")},
	}
}

// operations are all methods that reach the data, each on the given event.
func operations(ev dedupe.Event) map[string]func(context.Context, dedupe.Store) error {
	tok := dedupe.NewToken()
	return map[string]func(context.Context, dedupe.Store) error{
		"claim": func(ctx context.Context, s dedupe.Store) error {
			_, err := s.Claim(ctx, ev, tok, long)
			return err
		},
		"renew": func(ctx context.Context, s dedupe.Store) error { return s.Renew(ctx, ev, tok, long) },
		"commit": func(ctx context.Context, s dedupe.Store) error {
			return s.Commit(ctx, ev, dedupe.Success{Status: 200}, long)
		},
		"release": func(ctx context.Context, s dedupe.Store) error { return s.Release(ctx, ev, tok) },
		"lookup": func(ctx context.Context, s dedupe.Store) error {
			_, err := s.Lookup(ctx, ev.ID)
			return err
		},
		"forget": func(ctx context.Context, s dedupe.Store) error {
			_, err := s.Forget(ctx, ev.ID)
			return err
		},
	}
}
