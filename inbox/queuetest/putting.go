package queuetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// putting are the tests of Put, Revive, Get, Names and of arguments.
var putting = map[string]func(*testing.T, Bench){
	"put keeps all of an event, at every gateway":    putKeepsAll,
	"put answers by where the event stands":          putAnswers,
	"revive answers by where the event stands":       reviveAnswers,
	"put does not keep the caller's memory":          putCopies,
	"put heals a dead event that is damaged":         putHeals,
	"inboxes are apart, and are named":               inboxesAreApart,
	"nonsense is refused, and changes nothing":       nonsenseIsRefused,
	"cancelled context is an error, changes nothing": cancelledContext,
	"closed store says so":                           closedStore,
}

func putKeepsAll(t *testing.T, b Bench) {
	here, there := b.gateway(t, inbox.Options{}), b.gateway(t, inbox.Options{})
	before := here.status().Now
	sizes := []int{1, 100, 70_000, 300_000}
	for _, size := range sizes {
		ev := b.event(size)
		ev.ID = strings.Repeat("ü", size%400)
		here.put(ev, inbox.Accepted)
		for _, g := range []gateway{here, there} {
			r := g.state(ev.Key, inbox.Ready)
			if r.Key != ev.Key || r.Scope != ev.Scope || r.ID != ev.ID || r.Type != ev.Type || !bytes.Equal(r.Envelope, ev.Envelope) || r.Size != size {
				t.Fatalf("the record is %+v, want what was put", r.Info)
			}
			if !about(r.Accepted, before) || !r.Begun.Equal(r.Accepted) || !r.Due.Equal(r.Accepted) || !r.Settled.IsZero() {
				t.Fatalf("the times are %+v, want about %s", r.Info, before)
			}
			if r.Info.Attempts != 0 || len(r.Attempts) != 0 || r.Replay || r.Status != 0 || r.Reason != "" {
				t.Fatalf("a new event has a past: %+v", r)
			}
		}
	}
	there.counts(int64(len(sizes)), 0, 0, 0, 0)
	if got := there.status().Bytes; got != 1+100+70_000+300_000 {
		t.Fatalf("bytes are %d, want those of all envelopes", got)
	}
	if there.get(b.key()).State != inbox.Any {
		t.Fatal("an event is there that was never put")
	}
}

func putAnswers(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	ev := g.accepted()
	other := ev
	other.Envelope, other.ID = []byte("another"), "another"
	same := func() {
		t.Helper()
		if r := g.get(ev.Key); !bytes.Equal(r.Envelope, ev.Envelope) || r.ID != ev.ID {
			t.Fatal("a copy has changed the event")
		}
	}
	g.put(other, inbox.Queued)
	same()
	tok := g.taken(ev)
	g.put(other, inbox.Queued)
	g.state(ev.Key, inbox.Leased)
	g.settle(ev.Key, tok, retry(lease))
	g.put(other, inbox.Queued)
	g.state(ev.Key, inbox.Delayed)
	g.advance(lease)
	g.settle(ev.Key, g.taken(ev), giveUp("age"))
	g.counts(0, 0, 0, 1, 0)
	g.put(other, inbox.Revived)
	same()
	g.counts(1, 0, 0, 0, 0)
	r := g.state(ev.Key, inbox.Ready)
	if r.Info.Attempts != 0 || r.Replay || r.Reason != "" || !r.Settled.IsZero() || !about(r.Begun, g.status().Now) || len(r.Attempts) != 2 {
		t.Fatalf("a revived event is %+v, want attempts from 1 and its past", r)
	}
	g.settle(ev.Key, g.taken(ev), success())
	g.put(other, inbox.Finished)
	g.counts(0, 0, 0, 0, 1)
}

func reviveAnswers(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	g.revive(b.key(), inbox.NotKept)
	ev := g.accepted()
	g.revive(ev.Key, inbox.Queued)
	tok := g.taken(ev)
	g.revive(ev.Key, inbox.Queued)
	g.settle(ev.Key, tok, giveUp("age"))
	g.revive(ev.Key, inbox.Revived)
	g.revive(ev.Key, inbox.Queued)
	g.settle(ev.Key, g.taken(ev), success())
	g.revive(ev.Key, inbox.Finished)
	if _, err := g.Delete(t.Context(), []inbox.Key{ev.Key}); err != nil {
		t.Fatal(err)
	}
	g.revive(ev.Key, inbox.NotKept)
	g.counts(0, 0, 0, 0, 0)
}

func putCopies(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	ev := b.event(1000)
	want := slices.Clone(ev.Envelope)
	g.put(ev, inbox.Accepted)
	clear(ev.Envelope)
	if got := g.get(ev.Key).Envelope; !bytes.Equal(got, want) {
		t.Fatal("the envelope changed with the caller's memory")
	}
	d := g.take(1).Deliveries[0]
	if !bytes.Equal(d.Envelope, want) {
		t.Fatal("the delivery's envelope changed with the caller's memory")
	}
	clear(d.Envelope)
	if got := g.get(ev.Key).Envelope; !bytes.Equal(got, want) {
		t.Fatal("the envelope changed with the delivery's memory")
	}
}

func putHeals(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	ev, sound := g.accepted(), b.event(10)
	g.put(sound, inbox.Accepted)
	b.Damage(t, name, ev.Key)
	if got := g.take(2).Deliveries; len(got) != 1 || got[0].Key != sound.Key {
		t.Fatalf("take gives %d events, want the sound one only", len(got))
	}
	r := g.state(ev.Key, inbox.Dead)
	if r.Reason != inbox.Damaged || r.Envelope != nil {
		t.Fatalf("a damaged event is %+v", r)
	}
	g.counts(0, 0, 1, 1, 0)
	if got := g.status().Reasons; len(got) != 1 || got[inbox.Damaged] != 1 {
		t.Fatalf("the dead by reason are %v", got)
	}
	again := ev
	again.Envelope = []byte("the sender's copy")
	g.put(again, inbox.Revived)
	if got := g.status().Bytes; got != 10+int64(len(again.Envelope)) {
		t.Fatalf("bytes are %d after an envelope took the place of a damaged one", got)
	}
	g.taken(ev)
	if got := g.get(ev.Key).Envelope; !bytes.Equal(got, again.Envelope) {
		t.Fatalf("the envelope is %q, want the copy's", got)
	}
}

func inboxesAreApart(t *testing.T, b Bench) {
	s := b.Open(t)
	names := func(want ...string) {
		t.Helper()
		if got, err := s.Names(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Fatalf("the names are %q, %v; want %q", got, err, want)
		}
	}
	names()
	one, two := b.open(t, s, "one", inbox.Options{}), b.open(t, s, "two: ünï/..", inbox.Options{})
	if _, err := s.Queue("never used", inbox.Options{}); err != nil {
		t.Fatal(err)
	}
	ev := b.event(10)
	one.put(ev, inbox.Accepted)
	names("one")
	two.counts(0, 0, 0, 0, 0)
	two.revive(ev.Key, inbox.NotKept)
	two.put(ev, inbox.Accepted)
	names("one", "two: ünï/..")
	one.must("pause", one.Pause(t.Context(), true))
	one.nothing()
	two.settle(ev.Key, two.taken(ev), success())
	one.state(ev.Key, inbox.Ready)
	two.state(ev.Key, inbox.Done)
	if _, err := one.Delete(t.Context(), []inbox.Key{ev.Key}); err != nil {
		t.Fatal(err)
	}
	names("one", "two: ünï/..")
}

func nonsenseIsRefused(t *testing.T, b Bench) {
	s := b.Open(t)
	for _, bad := range []string{"", "a\nb", "a{b", "a}b", "\xff", strings.Repeat("a", inbox.MaxName+1)} {
		if _, err := s.Queue(bad, inbox.Options{}); err == nil {
			t.Errorf("an inbox may be called %q", bad)
		}
	}
	g := b.open(t, s, name, inbox.Options{})
	ev, none := b.event(10), b.event(0)
	long := b.event(10)
	long.Type = strings.Repeat("x", inbox.MaxText+1)
	tok, ctx := inbox.NewToken(), t.Context()
	some := func(n int, err error) error { return err }
	for what, err := range map[string]error{
		"put without a key":       second(g.Put(ctx, inbox.Event{Envelope: ev.Envelope})),
		"put without an envelope": second(g.Put(ctx, none)),
		"put of a long text":      second(g.Put(ctx, long)),
		"revive without a key":    second(g.Revive(ctx, inbox.Key{})),
		"take without a lease":    second(g.Take(ctx, 1, 0)),
		"extend without a lease":  g.Extend(ctx, ev.Key, tok, 0),
		"settle as nothing":       g.Settle(ctx, ev.Key, tok, inbox.Settlement{}),
		"settle in the past":      g.Settle(ctx, ev.Key, tok, retry(-1)),
		"give up without reason":  g.Settle(ctx, ev.Key, tok, giveUp("")),
		"give up in a long story": g.Settle(ctx, ev.Key, tok, giveUp(strings.Repeat("x", inbox.MaxReason+1))),
		"settle with status 1":    g.Settle(ctx, ev.Key, tok, inbox.Settlement{Outcome: inbox.Success, Attempt: inbox.Attempt{Status: 1}}),
		"replay too many":         some(g.Replay(ctx, make([]inbox.Key, inbox.MaxKeys+1), 0, 0)),
		"delete too many":         some(g.Delete(ctx, make([]inbox.Key, inbox.MaxKeys+1))),
	} {
		if err == nil || errors.Is(err, inbox.ErrLost) {
			t.Errorf("%s: %v, want it to be refused", what, err)
		}
	}
	g.counts(0, 0, 0, 0, 0)
}

func second[T any](_ T, err error) error { return err }

func cancelledContext(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	kept := g.accepted()
	for what, op := range operations(g.Queue, kept) {
		if err := op(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want the context's error", what, err)
		}
	}
	g.state(kept.Key, inbox.Ready)
	if s := g.status(); s.Paused || s.Held {
		t.Error("a cancelled call has stopped the inbox")
	}
}

func closedStore(t *testing.T, b Bench) {
	s := b.Open(t)
	g := b.open(t, s, name, inbox.Options{})
	ev := g.accepted()
	for range 2 {
		if err := s.Close(); err != nil && !errors.Is(err, inbox.ErrClosed) {
			t.Fatal(err)
		}
	}
	for what, op := range operations(g.Queue, ev) {
		if err := op(t.Context()); !errors.Is(err, inbox.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", what, err)
		}
	}
	if _, err := s.Names(t.Context()); !errors.Is(err, inbox.ErrClosed) {
		t.Errorf("names: %v, want ErrClosed", err)
	}
}
