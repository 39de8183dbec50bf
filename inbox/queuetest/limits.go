package queuetest

import (
	"errors"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// limits are the tests of MaxEvents and MaxBytes.
var limits = map[string]func(*testing.T, Bench){
	"only waiting events count as full":         fullByEvents,
	"bytes are counted as they were given":      fullByBytes,
	"a dead event is revived only if it fits":   fullRevives,
	"replay stops where there is no room":       fullReplays,
	"limits are those of the queue that is put": fullByOptions,
}

func fullByEvents(t *testing.T, b Bench) {
	g := b.gateway(t, b.limited(inbox.Options{MaxEvents: 3}))
	one, two := g.accepted(), g.accepted()
	tok := g.taken(one)
	three := g.accepted()
	four := b.event(100)
	g.put(four, inbox.Full)
	g.state(four.Key, inbox.Any)
	g.put(two, inbox.Queued)
	g.settle(one.Key, tok, retry(unit)) // delayed ones wait too
	g.put(four, inbox.Full)
	g.revive(two.Key, inbox.Queued)
	g.counts(2, 1, 0, 0, 0)
	g.settle(two.Key, inbox.NewToken(), success())
	g.put(four, inbox.Accepted)
	g.put(b.event(1), inbox.Full)
	if n, err := g.Delete(t.Context(), []inbox.Key{three.Key}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	five := g.accepted()
	g.put(b.event(1), inbox.Full)
	batch := g.take(1)
	g.settle(batch.Deliveries[0].Key, batch.Token, giveUp("age")) // neither do dead ones
	g.accepted()
	g.put(b.event(1), inbox.Full)
	g.put(five, g.copyOf(five))
}

// copyOf is what a copy of the event is answered, while the inbox is full.
func (g view) copyOf(ev inbox.Event) inbox.Answer {
	g.t.Helper()
	if g.get(ev.Key).State == inbox.Dead {
		return inbox.Full
	}
	return inbox.Queued
}

func fullByBytes(t *testing.T, b Bench) {
	g := b.gateway(t, b.limited(inbox.Options{MaxBytes: 1000}))
	large, small := b.event(600), b.event(400)
	g.put(large, inbox.Accepted)
	g.put(b.event(401), inbox.Full)
	g.put(small, inbox.Accepted) // up to the last byte
	g.put(b.event(1), inbox.Full)
	if got := g.status().Bytes; got != 1000 {
		t.Fatalf("bytes are %d, want 1000", got)
	}
	g.settle(large.Key, inbox.NewToken(), success())
	if got := g.status().Bytes; got != 400 {
		t.Fatalf("bytes are %d, want 400", got)
	}
	g.put(b.event(601), inbox.Full)
	g.put(b.event(600), inbox.Accepted)
	g.put(b.event(1), inbox.Full)
}

func fullRevives(t *testing.T, b Bench) {
	g := b.gateway(t, b.limited(inbox.Options{MaxEvents: 1}))
	dead := g.dead("age")
	waits := g.accepted()
	g.put(dead, inbox.Full)
	g.revive(dead.Key, inbox.Full)
	if r := g.state(dead.Key, inbox.Dead); r.Reason != "age" || r.Settled.IsZero() {
		t.Fatalf("the dead event is %+v", r.Info)
	}
	g.counts(1, 0, 0, 1, 0)
	g.settle(waits.Key, inbox.NewToken(), success())
	g.put(dead, inbox.Revived)
	g.counts(1, 0, 0, 0, 1)
}

func fullReplays(t *testing.T, b Bench) {
	g := b.gateway(t, b.limited(inbox.Options{MaxEvents: 3}))
	var keys []inbox.Key
	for range 4 {
		keys = append(keys, g.dead("age").Key)
	}
	waits := g.accepted()
	n, err := g.Replay(t.Context(), keys, 0, 0)
	if n != 2 || !errors.Is(err, inbox.ErrFull) {
		t.Fatalf("replay: %d, %v; want 2 and ErrFull", n, err)
	}
	g.counts(3, 0, 0, 2, 0)
	g.put(b.event(1), inbox.Full)
	g.settle(waits.Key, inbox.NewToken(), success())
	for want := range 2 {
		n, err := g.Replay(t.Context(), keys[:3], 0, 0) // the rest, once
		if n != 1-want || err != nil {
			t.Fatalf("replay: %d, %v; want %d", n, err, 1-want)
		}
	}
	// A delayed event waits already, so it needs no room.
	b1 := g.take(1)
	g.settle(b1.Deliveries[0].Key, b1.Token, retry(lease))
	if n, err := g.Replay(t.Context(), []inbox.Key{b1.Deliveries[0].Key}, 0, 0); n != 1 || err != nil {
		t.Fatalf("replay of a delayed event: %d, %v", n, err)
	}
}

func fullByOptions(t *testing.T, b Bench) {
	s := b.Open(t)
	wide, narrow := b.open(t, s, name, inbox.Options{}), b.open(t, s, name, b.limited(inbox.Options{MaxEvents: 2}))
	for range 5 {
		wide.accepted()
	}
	narrow.put(b.event(1), inbox.Full)
	narrow.counts(5, 0, 0, 0, 0)
	if got := narrow.take(10).Deliveries; len(got) != 5 {
		t.Fatalf("take gives %d events, want all 5", len(got))
	}
}
