package queuetest

import (
	"bytes"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// taking are the tests of Take, Extend, Pause and Hold.
var taking = map[string]func(*testing.T, Bench){
	"take gives each event once, whole":                takeGivesOnce,
	"take gives what is due longest first":             takeInOrder,
	"take says how long to wait":                       takeSaysWait,
	"a lease that ends makes the event ready":          leaseEnds,
	"extend lengthens the lease of the holder only":    extendHolderOnly,
	"extend holds on to a lease that ended untaken":    extendLate,
	"a pause stops taking and nothing else":            pauseStopsTaking,
	"a hold stops taking, then lets one probe through": holdProbes,
	"a probe that ended with its gateway is repeated":  probeDies,
}

func takeGivesOnce(t *testing.T, b Bench) {
	here, there := b.gateway(t, inbox.Options{}), b.gateway(t, inbox.Options{})
	events := make(map[inbox.Key]inbox.Event)
	for range 7 {
		ev := here.accepted()
		events[ev.Key] = ev
	}
	first, second := here.take(3), there.take(10)
	if len(first.Deliveries) != 3 || len(second.Deliveries) != 4 || first.Token == second.Token {
		t.Fatalf("two gateways get %d and %d events, want 3 and 4 under their own tokens", len(first.Deliveries), len(second.Deliveries))
	}
	for _, d := range append(first.Deliveries, second.Deliveries...) {
		ev, ok := events[d.Key]
		delete(events, d.Key)
		if !ok || d.Scope != ev.Scope || d.ID != ev.ID || d.Type != ev.Type || !bytes.Equal(d.Envelope, ev.Envelope) || d.Size != len(ev.Envelope) {
			t.Fatalf("a delivery is %+v, want an event as it was put, once", d.Info)
		}
		if d.Info.Attempts != 1 || !about(d.Accepted, first.Now) || !d.Begun.Equal(d.Accepted) {
			t.Fatalf("the first attempt is %+v", d.Info)
		}
		here.state(d.Key, inbox.Leased)
	}
	here.nothing()
	there.counts(0, 0, 7, 0, 0)
	if b := here.take(0); len(b.Deliveries) != 0 {
		t.Fatal("take of none gives some")
	}
}

func takeInOrder(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	var want []inbox.Event
	for range 5 {
		want = append(want, g.accepted())
		g.advance(time.Millisecond)
	}
	// The first one is retried, and by then is the youngest.
	g.settle(want[0].Key, g.taken(want[0]), retry(unit))
	g.advance(unit)
	want = append(want[1:], want[0])
	g.advance(time.Millisecond)
	want = append(want, g.accepted())
	if got := g.status().OldestReady; !got.Equal(g.get(want[0].Key).Due) {
		t.Fatalf("the oldest is ready since %s, want since %s", got, g.get(want[0].Key).Due)
	}
	got := append(g.take(2).Deliveries, g.take(10).Deliveries...)
	if len(got) != len(want) {
		t.Fatalf("take gives %d events, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Key != want[i].Key {
			t.Fatalf("event %d is not the one that is due longest", i)
		}
	}
	if !g.status().OldestReady.IsZero() {
		t.Fatal("none is ready, and one is the oldest")
	}
}

func takeSaysWait(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	if wait := g.nothing(); wait >= 0 {
		t.Fatalf("an empty inbox says to wait for %s", wait)
	}
	one, two := g.accepted(), g.accepted()
	if wait := g.take(1).Wait; wait != 0 {
		t.Fatalf("another one is ready, and take says to wait for %s", wait)
	}
	within := func(what string, got, want time.Duration) {
		t.Helper()
		if got > want || got <= want-unit {
			t.Fatalf("%s: wait for %s, want %s", what, got, want)
		}
	}
	rest := g.take(1)
	within("the first lease ends", rest.Wait, lease)
	if rest.Deliveries[0].Key == one.Key {
		one, two = two, one
	}
	g.settle(two.Key, rest.Token, retry(3*unit))
	within("a retry", g.nothing(), 3*unit)
	g.advance(3 * unit)
	g.settle(two.Key, g.taken(two), success())
	within("the other's lease ends", g.nothing(), lease-3*unit)
	g.advance(lease)
	g.settle(one.Key, g.taken(one), giveUp("age"))
	if wait := g.nothing(); wait >= 0 {
		t.Fatalf("nothing waits any more, and take says to wait for %s", wait)
	}
}

func leaseEnds(t *testing.T, b Bench) {
	here, there := b.gateway(t, inbox.Options{}), b.gateway(t, inbox.Options{})
	ev := here.accepted()
	old := here.taken(ev)
	there.nothing()
	here.advance(lease - unit)
	there.nothing()
	here.advance(unit)
	here.counts(1, 0, 0, 0, 0)
	here.state(ev.Key, inbox.Ready)
	d := there.take(1).Deliveries[0]
	if d.Info.Attempts != 2 {
		t.Fatalf("attempt %d, want 2: attempts count when they begin", d.Info.Attempts)
	}
	here.lost(ev.Key, old)
	here.counts(0, 0, 1, 0, 0)
	here.settle(ev.Key, old, success()) // a fact, whoever reports it
	here.counts(0, 0, 0, 0, 1)
}

func extendHolderOnly(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	ev := g.accepted()
	g.lost(ev.Key, inbox.Token{})
	tok := g.taken(ev)
	g.lost(ev.Key, inbox.NewToken())
	g.lost(ev.Key, inbox.Token{})
	for range 3 {
		g.advance(lease - unit)
		g.must("extend", g.Extend(t.Context(), ev.Key, tok, lease))
		g.counts(0, 0, 1, 0, 0)
	}
	if due := g.get(ev.Key).Due; !about(due, g.status().Now.Add(lease)) {
		t.Fatalf("the lease ends at %s, want %s from now", due, lease)
	}
	g.must("extend", g.Extend(t.Context(), ev.Key, tok, 3*unit)) // shorter counts too
	g.advance(3 * unit)
	if d := g.take(1).Deliveries; len(d) != 1 || d[0].Info.Attempts != 2 {
		t.Fatal("the event is not ready after its lease, on its second attempt")
	}
	g.lost(ev.Key, tok)
}

func extendLate(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	ev := g.accepted()
	tok := g.taken(ev)
	g.advance(2 * lease)
	g.must("extend", g.Extend(t.Context(), ev.Key, tok, lease))
	g.counts(0, 0, 1, 0, 0)
	g.nothing()
	g.advance(2 * lease)
	g.settle(ev.Key, tok, retry(unit)) // as nobody else has it
	g.counts(0, 1, 0, 0, 0)
}

func pauseStopsTaking(t *testing.T, b Bench) {
	here, there := b.gateway(t, inbox.Options{}), b.gateway(t, inbox.Options{})
	under := here.accepted()
	tok := here.taken(under)
	there.must("pause", there.Pause(t.Context(), true))
	ev := here.accepted()
	if wait := here.nothing(); wait >= 0 || !here.status().Paused {
		t.Fatalf("paused: wait for %s, want an open end", wait)
	}
	here.settle(under.Key, tok, retry(0))
	here.counts(2, 0, 0, 0, 0)
	there.nothing()
	here.must("resume", here.Pause(t.Context(), false))
	if got := there.take(10).Deliveries; len(got) != 2 || there.status().Paused {
		t.Fatalf("resumed: take gives %d events, want 2", len(got))
	}
	here.revive(ev.Key, inbox.Queued)
}

func holdProbes(t *testing.T, b Bench) {
	here, there := b.gateway(t, inbox.Options{}), b.gateway(t, inbox.Options{})
	for range 3 {
		here.accepted()
	}
	here.must("hold", here.Hold(t.Context(), 5*unit))
	for range 2 {
		if wait := there.nothing(); wait <= 3*unit || wait > 5*unit || !there.status().Held {
			t.Fatalf("held: wait for %s, want 5 units", wait)
		}
		here.advance(unit)
	}
	here.advance(4 * unit)
	probe := here.take(10)
	if len(probe.Deliveries) != 1 || !probe.Probe || probe.Wait <= lease-unit || !here.status().Held {
		t.Fatalf("after the hold take gives %d events and says to wait for %s, want one probe", len(probe.Deliveries), probe.Wait)
	}
	there.nothing()
	if got := there.get(probe.Deliveries[0].Key); got.Info.Attempts != 1 {
		t.Fatalf("the probe is %+v", got.Info)
	}
	here.settle(probe.Deliveries[0].Key, probe.Token, success())
	there.nothing()
	here.must("release", here.Hold(t.Context(), 0))
	if b := there.take(10); len(b.Deliveries) != 2 || b.Probe || b.Deliveries[0].Info.Attempts != 1 || there.status().Held {
		t.Fatalf("released: take gives %d events, want 2 that have lost no attempt", len(b.Deliveries))
	}
}

func probeDies(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	g.must("hold", g.Hold(t.Context(), unit))
	g.advance(unit)
	g.nothing() // none is ready, so none is a probe
	g.accepted()
	g.accepted()
	if got := g.take(10).Deliveries; len(got) != 1 {
		t.Fatalf("take gives %d events, want one probe", len(got))
	}
	g.advance(lease)
	if got := g.take(10).Deliveries; len(got) != 1 {
		t.Fatalf("after the probe's lease take gives %d events, want another probe", len(got))
	}
	g.must("hold", g.Hold(t.Context(), 2*unit)) // a second one takes the place of the first
	g.advance(unit)
	g.nothing()
}
