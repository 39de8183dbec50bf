// Package queuetest is the suite that every inbox.Store passes: the promises of inbox.Queue,
// each as a test that fails if it is broken. Its Model is the simplest store that passes.
package queuetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Bench is the data of one test, empty at first, and the means to look at it.
type Bench struct {
	// Open returns a store on the data. Each call stands for one more gateway. Where a store
	// cannot be shared, it returns the same one. Open closes it when the test ends.
	Open func(t *testing.T) inbox.Store
	// Advance moves the store's time on. The suite never waits: a store that takes its time
	// from a server adds an offset in tests. Time stands still otherwise, or goes on slowly:
	// a test takes less than unit, and all of its durations are many units.
	Advance func(t *testing.T, d time.Duration)
	// Lanes is how many lanes the store spreads an inbox over; 0 is one.
	Lanes int
	// SameLane returns a new key in the lane of all other keys that it returns. Nil where
	// there is one lane.
	SameLane func() inbox.Key
	// Damage makes the envelope of an event unreadable.
	Damage func(t *testing.T, name string, k inbox.Key)
}

const (
	// unit is longer than a test takes by itself.
	unit = 10 * time.Minute
	// lease is a lease that does not end by itself.
	lease = 10 * unit
	// name is the inbox of most tests.
	name = "payments"
)

// Run runs the suite. It calls open for each test, which may run in parallel.
func Run(t *testing.T, open func(t *testing.T) Bench) {
	for _, group := range []map[string]func(*testing.T, Bench){putting, taking, settling, replaying, limits, paging, random, races} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, open(t))
			})
		}
	}
}

// gateway is an inbox as one gateway has it. An unexpected error ends the test.
type gateway struct{ view }

// view is what looks at an inbox, and moves its time.
type view struct {
	t     *testing.T
	bench Bench
	inbox.Queue
}

func (b Bench) gateway(t *testing.T, o inbox.Options) gateway {
	t.Helper()
	return b.open(t, b.Open(t), name, o)
}

func (b Bench) open(t *testing.T, s inbox.Store, name string, o inbox.Options) gateway {
	t.Helper()
	q, err := s.Queue(name, o)
	if err != nil {
		t.Fatalf("open the inbox %q: %v", name, err)
	}
	return gateway{view{t, b, q}}
}

// limited returns the options for limits that hold for keys of one lane.
func (b Bench) limited(o inbox.Options) inbox.Options {
	lanes := int64(max(1, b.Lanes))
	o.MaxEvents, o.MaxBytes = o.MaxEvents*lanes, o.MaxBytes*lanes
	return o
}

func (g view) must(what string, err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatalf("%s: %v", what, err)
	}
}

// key returns a key that no other event has, in the lane of all others.
func (b Bench) key() (k inbox.Key) {
	if b.SameLane != nil {
		return b.SameLane()
	}
	rand.Read(k[:])
	return k
}

// event returns an event of its own, with an envelope of size bytes.
func (b Bench) event(size int) inbox.Event {
	envelope := make([]byte, size)
	rand.Read(envelope)
	return inbox.Event{Key: b.key(), Scope: "acme", ID: rand.Text(), Type: "job.done", Envelope: envelope}
}

func (g gateway) put(ev inbox.Event, want inbox.Answer) {
	g.t.Helper()
	got, err := g.Put(g.t.Context(), ev)
	g.must("put", err)
	if got != want {
		g.t.Fatalf("put answers %s, want %s", got, want)
	}
}

// accepted puts a new event. No other is accepted in the same millisecond, so the order in
// which they are taken is known.
func (g gateway) accepted() inbox.Event {
	g.t.Helper()
	ev := g.bench.event(100)
	g.put(ev, inbox.Accepted)
	g.advance(time.Millisecond)
	return ev
}

func (g gateway) revive(k inbox.Key, want inbox.Answer) {
	g.t.Helper()
	got, err := g.Revive(g.t.Context(), k)
	g.must("revive", err)
	if got != want {
		g.t.Fatalf("revive answers %s, want %s", got, want)
	}
}

func (g gateway) take(n int) inbox.Batch {
	g.t.Helper()
	b, err := g.Take(g.t.Context(), n, lease)
	g.must("take", err)
	if len(b.Deliveries) > n {
		g.t.Fatalf("take gives %d events, want %d at most", len(b.Deliveries), n)
	}
	for _, d := range b.Deliveries {
		if d.State != inbox.Leased || b.Token == (inbox.Token{}) || d.Due.Before(b.Now.Add(lease-unit)) {
			g.t.Fatalf("delivery of a batch at %s is %+v", b.Now, d.Info)
		}
	}
	return b
}

// taken takes one event, which must be the given one.
func (g gateway) taken(ev inbox.Event) inbox.Token {
	g.t.Helper()
	b := g.take(1)
	if len(b.Deliveries) != 1 || b.Deliveries[0].Key != ev.Key {
		g.t.Fatalf("take gives %d events, want the one that is ready", len(b.Deliveries))
	}
	return b.Token
}

// nothing takes, and must get nothing. It returns how long to wait.
func (g gateway) nothing() time.Duration {
	g.t.Helper()
	b := g.take(10)
	if len(b.Deliveries) != 0 {
		g.t.Fatalf("take gives %d events, want none", len(b.Deliveries))
	}
	return b.Wait
}

func success() inbox.Settlement {
	return inbox.Settlement{Outcome: inbox.Success, Attempt: inbox.Attempt{Number: 1, Status: 200}}
}

func retry(delay time.Duration) inbox.Settlement {
	return inbox.Settlement{Outcome: inbox.Retry, Delay: delay, Attempt: inbox.Attempt{Number: 1, Status: 503}}
}

func postpone(delay time.Duration) inbox.Settlement {
	return inbox.Settlement{Outcome: inbox.Postpone, Delay: delay, Reason: inbox.Locked}
}

func giveUp(reason string) inbox.Settlement {
	return inbox.Settlement{Outcome: inbox.GiveUp, Reason: reason, Attempt: inbox.Attempt{Number: 1, Status: 410}}
}

func (g gateway) settle(k inbox.Key, tok inbox.Token, s inbox.Settlement) {
	g.t.Helper()
	g.must("settle", g.Settle(g.t.Context(), k, tok, s))
}

// lost settles what is not the token's, and must be told.
func (g gateway) lost(k inbox.Key, tok inbox.Token) {
	g.t.Helper()
	before := g.get(k)
	for what, err := range map[string]error{
		"retry":   g.Settle(g.t.Context(), k, tok, retry(0)),
		"give up": g.Settle(g.t.Context(), k, tok, giveUp("age")),
		"extend":  g.Extend(g.t.Context(), k, tok, 2*lease),
	} {
		if !errors.Is(err, inbox.ErrLost) {
			g.t.Fatalf("%s: %v, want ErrLost", what, err)
		}
	}
	if after := g.get(k); !reflect.DeepEqual(before, after) {
		g.t.Fatalf("what was refused changed the event from %+v to %+v", before, after)
	}
}

// dead puts an event and gives it up.
func (g gateway) dead(reason string) inbox.Event {
	g.t.Helper()
	ev := g.accepted()
	g.settle(ev.Key, g.taken(ev), giveUp(reason))
	return ev
}

// done puts an event and finishes it.
func (g gateway) done() inbox.Event {
	g.t.Helper()
	ev := g.accepted()
	g.settle(ev.Key, g.taken(ev), success())
	return ev
}

// get returns the record of an event; the zero one where it is not kept.
func (g view) get(k inbox.Key) inbox.Record {
	g.t.Helper()
	r, err := g.Get(g.t.Context(), k)
	if errors.Is(err, inbox.ErrUnknown) {
		return inbox.Record{}
	}
	g.must("get", err)
	return r
}

// state checks where an event stands.
func (g view) state(k inbox.Key, want inbox.State) inbox.Record {
	g.t.Helper()
	r := g.get(k)
	if r.State != want {
		g.t.Fatalf("the event is %s, want %s", r.State, want)
	}
	return r
}

func (g view) status() inbox.Status {
	g.t.Helper()
	s, err := g.Status(g.t.Context())
	g.must("status", err)
	return s
}

// counts checks the counters.
func (g view) counts(ready, delayed, leased, dead, done int64) {
	g.t.Helper()
	s := g.status()
	got, want := []int64{s.Ready, s.Delayed, s.Leased, s.Dead, s.Done}, []int64{ready, delayed, leased, dead, done}
	if !reflect.DeepEqual(got, want) {
		g.t.Fatalf("ready, delayed, leased, dead, done are %d, want %d", got, want)
	}
}

func (g view) advance(d time.Duration) {
	g.t.Helper()
	g.bench.Advance(g.t, d)
}

// about reports whether two times are the same but for what a test takes.
func about(a, b time.Time) bool { return a.Sub(b).Abs() < unit }

// operations are all methods that reach the data.
func operations(q inbox.Queue, ev inbox.Event) map[string]func(context.Context) error {
	k := ev.Key
	return map[string]func(context.Context) error{
		"put":    func(ctx context.Context) error { _, err := q.Put(ctx, ev); return err },
		"revive": func(ctx context.Context) error { _, err := q.Revive(ctx, k); return err },
		"take":   func(ctx context.Context) error { _, err := q.Take(ctx, 1, lease); return err },
		"extend": func(ctx context.Context) error { return q.Extend(ctx, k, inbox.NewToken(), lease) },
		"settle": func(ctx context.Context) error { return q.Settle(ctx, k, inbox.NewToken(), success()) },
		"replay": func(ctx context.Context) error { _, err := q.Replay(ctx, []inbox.Key{k}, 0, 0); return err },
		"delete": func(ctx context.Context) error { _, err := q.Delete(ctx, []inbox.Key{k}); return err },
		"pause":  func(ctx context.Context) error { return q.Pause(ctx, true) },
		"hold":   func(ctx context.Context) error { return q.Hold(ctx, unit) },
		"page":   func(ctx context.Context) error { _, err := q.Page(ctx, inbox.Filter{}, "", 10); return err },
		"get":    func(ctx context.Context) error { _, err := q.Get(ctx, k); return err },
		"status": func(ctx context.Context) error { _, err := q.Status(ctx); return err },
	}
}

// numbered returns a key that is the same for the same n.
func numbered(n int) (k inbox.Key) {
	copy(k[:], fmt.Sprintf("event %010d", n))
	return k
}
