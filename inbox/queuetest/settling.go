package queuetest

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// settling are the tests of Settle and of what is kept afterwards.
var settling = map[string]func(*testing.T, Bench){
	"the finished are counted by the minute":         settleCountsMinutes,
	"success finishes, and drops the envelope":       successFinishes,
	"success stands whoever reports it":              successStands,
	"retry waits for its delay":                      retryWaits,
	"giving up is final, and keeps all":              givingUp,
	"what is postponed loses no attempt":             postponed,
	"a settled attempt is not the token's any more":  settledOnce,
	"attempts are remembered, the last ones":         attemptsRemembered,
	"finished events go after keep, dead ones later": keptFor,
	"bodies of finished events stay where asked":     bodiesStay,
	"an inbox without a configuration keeps all":     unroutedKeeps,
}

func successFinishes(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	ev := g.accepted()
	g.advance(unit)
	g.settle(ev.Key, g.taken(ev), success())
	r := g.state(ev.Key, inbox.Done)
	if r.Envelope != nil || r.Size != 0 || r.ID != ev.ID || r.Scope != ev.Scope || r.Type != ev.Type || r.Status != 200 {
		t.Fatalf("the finished event is %+v, want all but the envelope", r)
	}
	if !about(r.Settled, g.status().Now) || !r.Due.IsZero() || r.Info.Attempts != 1 || !r.Accepted.Before(r.Settled) {
		t.Fatalf("the finished event is %+v", r.Info)
	}
	g.counts(0, 0, 0, 0, 1)
	if g.status().Bytes != 0 {
		t.Fatal("a finished event's bytes still wait")
	}
	g.advance(2 * lease)
	g.nothing()
}

func successStands(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	g.settle(b.key(), inbox.NewToken(), success()) // not kept: nothing to do
	g.counts(0, 0, 0, 0, 0)

	ready := g.accepted()
	g.settle(ready.Key, inbox.NewToken(), success())
	g.state(ready.Key, inbox.Done)

	dead := g.dead("age")
	g.settle(dead.Key, inbox.NewToken(), success())
	if r := g.state(dead.Key, inbox.Done); r.Reason != "" {
		t.Fatalf("a finished event was given up for %q", r.Reason)
	}
	if got := g.status().Reasons; len(got) != 0 {
		t.Fatalf("the dead by reason are %v, want none", got)
	}

	delayed := g.accepted()
	tok := g.taken(delayed)
	g.settle(delayed.Key, tok, retry(unit))
	g.settle(delayed.Key, tok, success())
	before := g.state(delayed.Key, inbox.Done)
	g.advance(unit)
	g.settle(delayed.Key, tok, success()) // the reply was lost
	if after := g.get(delayed.Key); !reflect.DeepEqual(before, after) {
		t.Fatalf("a repeated success changed %+v to %+v", before, after)
	}
	g.counts(0, 0, 0, 0, 3)
}

func retryWaits(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	ev := g.accepted()
	accepted := g.get(ev.Key).Accepted
	for n := 1; n <= 3; n++ {
		d := g.take(1)
		if len(d.Deliveries) != 1 || d.Deliveries[0].Info.Attempts != n || !d.Deliveries[0].Begun.Equal(accepted) {
			t.Fatalf("attempt %d is %+v", n, d.Deliveries)
		}
		g.settle(ev.Key, d.Token, retry(5*unit))
		g.counts(0, 1, 0, 0, 0)
		r := g.state(ev.Key, inbox.Delayed)
		if !about(r.Due, g.status().Now.Add(5*unit)) || r.Status != 503 {
			t.Fatalf("the delayed event is %+v", r.Info)
		}
		g.advance(4 * unit)
		g.nothing()
		g.advance(unit)
		g.counts(1, 0, 0, 0, 0)
	}
	g.settle(ev.Key, g.taken(ev), retry(0))
	g.counts(1, 0, 0, 0, 0)
}

func givingUp(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	ev := g.dead("age")
	r := g.state(ev.Key, inbox.Dead)
	if string(r.Envelope) != string(ev.Envelope) || r.Reason != "age" || r.Status != 410 || !about(r.Settled, g.status().Now) || !r.Due.IsZero() {
		t.Fatalf("the dead event is %+v", r.Info)
	}
	g.dead("age")
	g.dead("status 410")
	if got, want := g.status().Reasons, map[string]int64{"age": 2, "status 410": 1}; !reflect.DeepEqual(got, want) {
		t.Fatalf("the dead by reason are %v, want %v", got, want)
	}
	g.advance(5 * lease)
	g.nothing()
	g.counts(0, 0, 0, 3, 0)
	if g.status().Bytes != 0 {
		t.Fatal("a dead event's bytes still wait")
	}
}

func postponed(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	ev := g.accepted()
	g.settle(ev.Key, g.taken(ev), retry(0))
	before := g.get(ev.Key)
	for range 3 {
		d := g.take(1)
		if len(d.Deliveries) != 1 || d.Deliveries[0].Info.Attempts != 2 {
			t.Fatalf("take gives %+v, want the second attempt", d.Deliveries)
		}
		g.settle(ev.Key, d.Token, postpone(5*unit))
		g.lost(ev.Key, d.Token)
		g.counts(0, 1, 0, 0, 0)
		r := g.state(ev.Key, inbox.Delayed)
		if r.Info.Attempts != 1 || r.Reason != inbox.Locked || r.Status != before.Status || len(r.Attempts) != len(before.Attempts) {
			t.Fatalf("the postponed event is %+v, was %+v", r, before)
		}
		if listed := g.walk(inbox.Filter{Reason: inbox.Locked}, 3, nil); len(listed) != 0 {
			t.Fatalf("%d events are listed as dead for that reason", len(listed))
		}
		g.advance(5 * unit)
	}
	if reasons := g.status().Reasons; len(reasons) != 0 {
		t.Fatalf("the dead by reason are %v, and none is dead", reasons)
	}
	g.settle(ev.Key, g.take(1).Token, retry(unit))
	if r := g.state(ev.Key, inbox.Delayed); r.Reason != "" || r.Info.Attempts != 2 {
		t.Fatalf("after an attempt the event is %+v", r.Info)
	}
	// It is finished and deleted as any other.
	done, gone := g.accepted(), g.accepted()
	both := g.take(2).Token
	for _, k := range []inbox.Key{done.Key, gone.Key} {
		g.settle(k, both, postpone(unit))
	}
	g.settle(done.Key, inbox.NewToken(), success())
	if r := g.state(done.Key, inbox.Done); r.Reason != "" {
		t.Fatalf("the finished event is %+v", r.Info)
	}
	if n, err := g.Delete(t.Context(), []inbox.Key{gone.Key}); n != 1 || err != nil {
		t.Fatalf("delete: %d, %v", n, err)
	}
	g.counts(0, 1, 0, 0, 1)
}

func settledOnce(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	for _, s := range []inbox.Settlement{retry(unit), giveUp("age"), postpone(unit), success()} {
		ev := g.accepted()
		tok := g.taken(ev)
		g.settle(ev.Key, tok, s)
		g.lost(ev.Key, tok)
	}
	gone := g.accepted()
	tok := g.taken(gone)
	if n, err := g.Delete(t.Context(), []inbox.Key{gone.Key}); n != 1 || err != nil {
		t.Fatalf("delete: %d, %v", n, err)
	}
	g.lost(gone.Key, tok)
	g.settle(gone.Key, tok, success())
	g.state(gone.Key, inbox.Any)
	// One token, several events: each is settled by itself.
	one, two := g.accepted(), g.accepted()
	both := g.take(2).Token
	g.settle(one.Key, both, success())
	g.state(two.Key, inbox.Leased)
	g.settle(two.Key, both, retry(0))
}

func attemptsRemembered(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	ev := g.accepted()
	var want []inbox.Attempt
	for n := 1; n <= inbox.MaxAttempts+3; n++ {
		d := g.take(1)
		a := inbox.Attempt{Number: n, At: d.Now, Took: time.Duration(n) * time.Millisecond, Status: 500 + n, Head: []byte("an answer\x00\xff")}
		switch n {
		case 5:
			a.Status, a.Head, a.Error = 0, nil, "dial tcp: connection refused: ü"
		case 7: // too long
			a.Error, a.Head = strings.Repeat("x", inbox.MaxText), []byte(strings.Repeat("y", inbox.MaxHead))
		}
		given := a
		if n == 7 {
			given.Error += "more"
			given.Head = append(given.Head[:len(given.Head):len(given.Head)], "more"...)
		}
		g.settle(ev.Key, d.Token, inbox.Settlement{Outcome: inbox.Retry, Attempt: given})
		want = inbox.Remember(want, a)
		got := g.get(ev.Key).Attempts
		if len(got) != len(want) || len(got) > inbox.MaxAttempts {
			t.Fatalf("%d attempts are remembered, want %d", len(got), len(want))
		}
		for i := range got {
			if !got[i].At.Equal(want[i].At) {
				t.Fatalf("attempt %d was at %s, want %s", i, got[i].At, want[i].At)
			}
			got[i].At = want[i].At
			if len(got[i].Head) == 0 && len(want[i].Head) == 0 {
				got[i].Head = want[i].Head
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("the attempts are %+v, want %+v", got, want)
		}
		g.advance(time.Millisecond)
	}
}

// swept takes until nothing is removed any more.
func (g gateway) swept(done, dead int64) {
	g.t.Helper()
	for range 100 {
		g.take(0)
		if s := g.status(); s.Dead == dead && s.Done == done {
			return
		}
	}
	g.counts(0, 0, 0, dead, done)
}

func keptFor(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{Keep: 10 * unit, KeepDead: 20 * unit})
	done, dead := g.done(), g.dead("age")
	waits := g.accepted()
	g.advance(5 * unit)
	g.swept(1, 1)
	later := g.accepted()
	if got := g.take(2).Deliveries; len(got) != 2 {
		t.Fatalf("take gives %d events, want both that wait", len(got))
	}
	g.settle(later.Key, inbox.NewToken(), success())
	g.advance(6 * unit)
	g.swept(1, 1)
	g.state(done.Key, inbox.Any)
	g.revive(done.Key, inbox.NotKept)
	g.state(later.Key, inbox.Done)
	g.state(dead.Key, inbox.Dead)
	g.advance(10 * unit)
	g.swept(0, 0)
	g.state(dead.Key, inbox.Any)
	if len(g.status().Reasons) != 0 {
		t.Fatal("a dead event that is gone still counts")
	}
	g.state(waits.Key, inbox.Ready)
	// Many at a time, more than one call removes.
	for range 250 {
		g.settle(g.accepted().Key, inbox.NewToken(), success())
	}
	g.advance(11 * unit)
	g.swept(0, 0)
}

func bodiesStay(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{KeepBodies: true, Keep: 10 * unit})
	ev := g.done()
	if r := g.state(ev.Key, inbox.Done); string(r.Envelope) != string(ev.Envelope) || r.Size != len(ev.Envelope) {
		t.Fatalf("the finished event is %+v, want its envelope", r.Info)
	}
	if g.status().Bytes != 0 {
		t.Fatal("a finished event's bytes still wait")
	}
	g.advance(11 * unit)
	g.swept(0, 0)
	g.put(ev, inbox.Accepted)
	if got := g.take(1).Deliveries; len(got) != 1 || string(got[0].Envelope) != string(ev.Envelope) {
		t.Fatal("an event that was forgotten cannot come again")
	}
}

func unroutedKeeps(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	done, dead, waits := g.done(), g.dead("age"), g.accepted()
	g.advance(1000 * 24 * time.Hour)
	for range 3 {
		if b, err := g.Take(t.Context(), 0, lease); err != nil || len(b.Deliveries) != 0 {
			t.Fatalf("take: %v", err)
		}
	}
	g.state(done.Key, inbox.Done)
	g.state(dead.Key, inbox.Dead)
	if r := g.state(waits.Key, inbox.Ready); string(r.Envelope) != string(waits.Envelope) {
		t.Fatal("the envelope of a waiting event is gone")
	}
}

func settleCountsMinutes(t *testing.T, b Bench) {
	g := b.gateway(t, inbox.Options{})
	sums := func() (before, lately int64) {
		finished := g.status().Finished
		if len(finished) != inbox.RateMinutes {
			t.Fatalf("%d minutes are counted, want %d", len(finished), inbox.RateMinutes)
		}
		for i, n := range finished {
			if i < len(finished)-2 { // a minute may begin at any time
				before += n
			} else {
				lately += n
			}
		}
		return before, lately
	}
	check := func(what string, wantBefore, wantLately int64) {
		t.Helper()
		if before, lately := sums(); before != wantBefore || lately != wantLately {
			t.Errorf("%s: %d were finished before and %d lately, want %d and %d", what, before, lately, wantBefore, wantLately)
		}
	}
	g.done()
	first := g.done()
	g.dead("age")
	check("at first", 0, 2)
	g.advance(10 * time.Minute)
	g.done()
	check("later", 2, 1)
	if _, err := g.Delete(t.Context(), []inbox.Key{first.Key}); err != nil {
		t.Fatal(err)
	}
	check("after one was deleted", 1, 1)
	g.advance(inbox.RateMinutes * time.Minute)
	check("an hour later", 0, 0)
}
