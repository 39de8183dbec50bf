package queuetest

import (
	"slices"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// replaying are the tests of Replay and Delete, one by one and in bulk.
var replaying = map[string]func(*testing.T, Bench){
	"replay begins a new round":                    replayBegins,
	"replay leaves alone what it must":             replayLeavesAlone,
	"replay spreads events by a gap":               replaySpreads,
	"replay of an old attempt does not fence out":  replayFences,
	"bulk replay takes what matched, and no more":  bulkReplay,
	"delete removes whatever the state":            deleteRemoves,
	"bulk delete by a filter, and a preview of it": bulkDelete,
}

func (g gateway) replay(want int, after, gap time.Duration, events ...inbox.Event) {
	g.t.Helper()
	var keys []inbox.Key
	for _, ev := range events {
		keys = append(keys, ev.Key)
	}
	got, err := g.Replay(g.t.Context(), keys, after, gap)
	g.must("replay", err)
	if got != want {
		g.t.Fatalf("replay moves %d events, want %d", got, want)
	}
}

func replayBegins(t *testing.T, b Bench) {
	here, there := b.gateway(t, inbox.Options{}), b.gateway(t, inbox.Options{KeepBodies: true})
	for want, ev := range map[inbox.State]inbox.Event{inbox.Dead: here.dead("age"), inbox.Done: there.done()} {
		here.advance(unit)
		old := here.state(ev.Key, want)
		here.replay(1, 0, 0, ev)
		r := here.state(ev.Key, inbox.Ready)
		if r.Info.Attempts != 0 || !r.Replay || r.Reason != "" || !r.Settled.IsZero() || !r.Accepted.Equal(old.Accepted) || len(r.Attempts) != 1 {
			t.Fatalf("the replayed event is %+v", r)
		}
		if !about(r.Begun, here.status().Now) || !r.Due.Equal(r.Begun) {
			t.Fatalf("the replayed event has begun at %s, want now", r.Begun)
		}
		d := here.take(1).Deliveries
		if len(d) != 1 || !d[0].Replay || d[0].Info.Attempts != 1 || string(d[0].Envelope) != string(ev.Envelope) {
			t.Fatalf("the replay's delivery is %+v", d)
		}
		here.settle(ev.Key, inbox.NewToken(), success())
		if r := here.state(ev.Key, inbox.Done); !r.Replay || len(r.Attempts) != 2 {
			t.Fatalf("the event after its replay is %+v", r)
		}
	}
	here.counts(0, 0, 0, 0, 2)
	// A copy from the sender is no replay.
	ev := here.dead("age")
	here.replay(1, 0, 0, ev)
	here.settle(ev.Key, here.taken(ev), giveUp("age"))
	here.revive(ev.Key, inbox.Revived)
	if here.state(ev.Key, inbox.Ready).Replay {
		t.Fatal("an event that its sender revived is a replay")
	}
}

func replayLeavesAlone(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	done := g.done() // its envelope is not kept
	leased := g.accepted()
	tok := g.taken(leased)
	ready := g.accepted()
	g.replay(0, 0, 0, done, leased, ready, b.event(1))
	g.counts(1, 0, 1, 0, 1)
	if r := g.state(ready.Key, inbox.Ready); r.Replay {
		t.Fatal("a ready event is a replay")
	}
	g.must("extend", g.Extend(t.Context(), leased.Key, tok, lease))
	// A delayed one need not wait any longer.
	g.settle(leased.Key, tok, retry(lease))
	g.replay(1, 0, 0, leased)
	if r := g.state(leased.Key, inbox.Ready); !r.Replay || r.Info.Attempts != 0 {
		t.Fatalf("the event that need not wait is %+v", r.Info)
	}
	damaged := g.accepted()
	b.Damage(t, name, damaged.Key)
	g.take(10)
	g.state(damaged.Key, inbox.Dead)
	g.replay(1, 0, 0, damaged) // tried again, it is dead again, and no loop
	g.nothing()
	if r := g.state(damaged.Key, inbox.Dead); r.Reason != inbox.Damaged {
		t.Fatalf("the damaged event is %+v", r.Info)
	}
}

func replaySpreads(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	events := []inbox.Event{g.dead("age"), g.done(), g.dead("age"), g.dead("age")}
	g.replay(3, 2*unit, 10*unit, events...)
	g.counts(0, 3, 0, 0, 1)
	now := g.status().Now
	for i, ev := range []inbox.Event{events[0], events[2], events[3]} {
		r := g.get(ev.Key)
		if want := now.Add(time.Duration(2+10*i) * unit); !about(r.Due, want) || !r.Begun.Equal(r.Due) {
			t.Fatalf("replay %d is due at %s and begun at %s, want %s", i, r.Due, r.Begun, want)
		}
	}
	g.advance(2 * unit)
	g.settle(events[0].Key, g.taken(events[0]), success())
	g.nothing()
	g.advance(10 * unit)
	g.taken(events[2])
	g.nothing()
}

func replayFences(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	ev := g.accepted()
	tok := g.taken(ev)
	g.settle(ev.Key, tok, giveUp("age"))
	g.replay(1, 0, 0, ev)
	g.lost(ev.Key, tok)
	next := g.taken(ev)
	g.lost(ev.Key, tok)
	g.settle(ev.Key, next, success())
}

func bulkReplay(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	const many = inbox.MaxKeys + 70
	for range many {
		ev := g.accepted()
		_ = ev
	}
	for left := many; left > 0; {
		batch := g.take(100)
		for _, d := range batch.Deliveries {
			reason := "age"
			if left%7 == 0 {
				reason = "status 410"
			}
			left--
			g.settle(d.Key, batch.Token, giveUp(reason))
		}
	}
	if _, err := inbox.Select(t.Context(), g, inbox.Filter{}); err == nil {
		t.Fatal("an empty filter means every event")
	}
	keys, err := inbox.Select(t.Context(), g, inbox.Filter{State: inbox.Dead, Reason: "age"})
	g.must("select", err)
	reasons := g.status().Reasons
	if int64(len(keys)) != reasons["age"] || reasons["age"]+reasons["status 410"] != many {
		t.Fatalf("%d events match, and the counters say %v", len(keys), reasons)
	}
	const gap = time.Millisecond
	n, err := inbox.ReplayAll(t.Context(), g, keys, gap)
	g.must("replay all", err)
	if n != len(keys) {
		t.Fatalf("%d of %d events were replayed", n, len(keys))
	}
	g.advance(unit)
	g.counts(int64(n), 0, 0, many-int64(n), 0)
	dues := make(map[time.Time]int)
	for _, k := range keys {
		dues[g.get(k).Due]++
	}
	if len(dues) < n*9/10 {
		t.Fatalf("%d events are due at %d times: they are not spread", n, len(dues))
	}
}

func deleteRemoves(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{KeepBodies: true})
	done, dead, leased := g.done(), g.dead("age"), g.accepted()
	g.taken(leased)
	delayed := g.accepted()
	g.settle(delayed.Key, g.taken(delayed), retry(unit))
	ready := g.accepted()
	kept := g.accepted()
	g.counts(2, 1, 1, 1, 1)
	all := []inbox.Key{done.Key, dead.Key, leased.Key, delayed.Key, ready.Key, b.key()}
	if n, err := g.Delete(t.Context(), all); n != 5 || err != nil {
		t.Fatalf("delete: %d, %v; want 5", n, err)
	}
	if n, err := g.Delete(t.Context(), all); n != 0 || err != nil {
		t.Fatalf("delete again: %d, %v; want 0", n, err)
	}
	g.counts(1, 0, 0, 0, 0)
	if s := g.status(); s.Bytes != int64(len(kept.Envelope)) || len(s.Reasons) != 0 {
		t.Fatalf("the status is %+v", s)
	}
	g.taken(kept)
	g.advance(2 * lease)
	g.put(ready, inbox.Accepted)
}

func bulkDelete(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	var want []inbox.Key
	for i := range 30 {
		ev := b.event(10)
		if ev.Type = "kept"; i%3 == 0 {
			ev.Type = "unwanted"
			want = append(want, ev.Key)
		}
		g.put(ev, inbox.Accepted)
	}
	keys, err := inbox.Select(t.Context(), g, inbox.Filter{Type: "unwanted"})
	g.must("select", err)
	sort := func(a, b inbox.Key) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(keys, sort)
	slices.SortFunc(want, sort)
	if !slices.Equal(keys, want) {
		t.Fatalf("%d events match, want %d", len(keys), len(want))
	}
	n, err := inbox.DeleteAll(t.Context(), g, keys)
	g.must("delete all", err)
	if n != len(want) {
		t.Fatalf("%d events were deleted, want %d", n, len(want))
	}
	g.counts(int64(30-n), 0, 0, 0, 0)
}
