package queuetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// random compares a store with the Model.
var random = map[string]func(*testing.T, Bench){
	"random steps end as in the model": randomSteps,
}

// pair is a store and the model, which get the same steps.
type pair struct {
	gateway
	model  inbox.Queue
	clock  *Clock        // the model's
	ahead  time.Duration // how far the store's time was ahead of the model's at first
	rand   *rand.Rand
	tokens map[inbox.Key][][2]inbox.Token // the store's and the model's, the latest last
}

func randomSteps(t *testing.T, b Bench) {
	for seed := range uint64(4) {
		// The store's time may go on by itself. So all durations are many units, and none is
		// ever over within a few units of another's end; and the model's time follows after each step.
		clock := NewClock()
		m, o := NewModel(clock.Now), inbox.Options{KeepBodies: seed%2 == 0}
		p := pair{clock: clock, rand: rand.New(rand.NewPCG(seed, 1)), tokens: make(map[inbox.Key][][2]inbox.Token)}
		p.gateway = b.open(t, b.Open(t), fmt.Sprint(name, seed), o)
		p.model, _ = m.Queue(name, o)
		p.ahead = p.status().Now.Sub(clock.Now())
		var keys []inbox.Key
		for range 8 {
			keys = append(keys, b.key())
		}
		for n := range 300 {
			if p.rand.IntN(5) == 0 {
				d := time.Duration(1+p.rand.IntN(10)) * 5 * unit
				clock.Advance(d)
				p.advance(d)
			}
			what := p.step(keys)
			p.compare(fmt.Sprintf("seed %d, step %d, %s", seed, n, what), keys)
		}
	}
}

// step does one step on both.
func (p *pair) step(keys []inbox.Key) (what string) {
	p.t.Helper()
	ctx, k := p.t.Context(), keys[p.rand.IntN(len(keys))]
	some := keys[:p.rand.IntN(len(keys))]
	delay := time.Duration(p.rand.IntN(4)) * 10 * unit
	same := func(name string, got, want any, errs ...error) {
		p.t.Helper()
		what = name
		if !reflect.DeepEqual(got, want) || fmt.Sprint(errs[0]) != fmt.Sprint(errs[1]) {
			p.t.Fatalf("%s: %v, %v; the model says %v, %v", name, got, errs[0], want, errs[1])
		}
	}
	switch p.rand.IntN(12) {
	case 0, 1, 2:
		ev := inbox.Event{Key: k, ID: k.String(), Type: []string{"a", "b"}[k[1]%2], Envelope: []byte(strings.Repeat("x", 1+p.rand.IntN(100)))}
		a, err := p.Put(ctx, ev)
		b, err2 := p.model.Put(ctx, ev)
		same("put", a, b, err, err2)
	case 3:
		a, err := p.Revive(ctx, k)
		b, err2 := p.model.Revive(ctx, k)
		same("revive", a, b, err, err2)
	case 4, 5:
		return p.takeAll()
	case 6, 7, 8:
		return p.settleOne(k, delay)
	case 9:
		a, err := p.Replay(ctx, some, delay, 0)
		b, err2 := p.model.Replay(ctx, some, delay, 0)
		same("replay", a, b, err, err2)
	case 10:
		switch p.rand.IntN(4) {
		case 0:
			a, err := p.Delete(ctx, keys[:2])
			b, err2 := p.model.Delete(ctx, keys[:2])
			same("delete", a, b, err, err2)
		case 1:
			same("pause", 0, 0, p.Pause(ctx, true), p.model.Pause(ctx, true))
		default:
			same("resume", 0, 0, p.Pause(ctx, false), p.model.Pause(ctx, false))
		}
	case 11:
		d := delay * time.Duration(p.rand.IntN(2))
		same("hold", 0, 0, p.Hold(ctx, d), p.model.Hold(ctx, d))
	}
	return what
}

// takeAll takes whatever is ready, or the probe: which of several that is stays open.
func (p *pair) takeAll() string {
	p.t.Helper()
	if s := p.status(); s.Held && s.Ready > 1 {
		return "take nothing, as there is a choice"
	}
	a, err := p.Take(p.t.Context(), 100, lease)
	b, err2 := p.model.Take(p.t.Context(), 100, lease)
	if err != nil || err2 != nil || len(a.Deliveries) != len(b.Deliveries) || (a.Wait < 0) != (b.Wait < 0) || (a.Wait-b.Wait).Abs() >= unit {
		p.t.Fatalf("take: %d events, wait %s, %v; the model gives %d, %s, %v", len(a.Deliveries), a.Wait, err, len(b.Deliveries), b.Wait, err2)
	}
	for _, d := range a.Deliveries {
		i := slices.IndexFunc(b.Deliveries, func(other inbox.Delivery) bool { return other.Key == d.Key })
		if i < 0 || string(d.Envelope) != string(b.Deliveries[i].Envelope) || d.Info.Attempts != b.Deliveries[i].Info.Attempts {
			p.t.Fatalf("take gives %+v, and the model does not", d.Info)
		}
		p.tokens[d.Key] = append(p.tokens[d.Key], [2]inbox.Token{a.Token, b.Token})
	}
	return "take"
}

// settleOne settles or extends an event, mostly with its last token.
func (p *pair) settleOne(k inbox.Key, delay time.Duration) string {
	p.t.Helper()
	var tokens [2]inbox.Token
	if known := p.tokens[k]; len(known) > 0 {
		tokens = known[len(known)-1]
		if p.rand.IntN(4) == 0 {
			tokens = known[0]
		}
	}
	s := []inbox.Settlement{success(), retry(delay), retry(delay), giveUp("age"), giveUp("status 410"), postpone(delay)}[p.rand.IntN(6)]
	do := func(q inbox.Queue, tok inbox.Token) error { return q.Settle(p.t.Context(), k, tok, s) }
	if p.rand.IntN(4) == 0 {
		do = func(q inbox.Queue, tok inbox.Token) error { return q.Extend(p.t.Context(), k, tok, lease) }
	}
	err, err2 := do(p.Queue, tokens[0]), do(p.model, tokens[1])
	if errors.Is(err, inbox.ErrLost) != errors.Is(err2, inbox.ErrLost) || (err == nil) != (err2 == nil) {
		p.t.Fatalf("settle as %+v: %v; the model says %v", s, err, err2)
	}
	return fmt.Sprintf("settle %+v", s)
}

// compare compares the two by all that can be seen.
func (p *pair) compare(what string, keys []inbox.Key) {
	p.t.Helper()
	model := view{p.t, p.bench, p.model}
	got, want := p.status(), model.status()
	offset := got.Now.Sub(want.Now) // they need not begin at the same time
	p.clock.Advance(max(0, offset-p.ahead))
	near := func(a, b time.Time) bool { return a.IsZero() == b.IsZero() && (a.IsZero() || about(a, b.Add(offset))) }
	if !near(got.OldestReady, want.OldestReady) {
		p.t.Fatalf("%s: the oldest is ready since %s, want %s", what, got.OldestReady, want.OldestReady.Add(offset))
	}
	if len(got.Finished) != len(want.Finished) {
		p.t.Fatalf("%s: the finished of %d minutes are counted, want %d", what, len(got.Finished), len(want.Finished))
	}
	got.Finished, want.Finished = nil, nil // a minute may have begun at one of them
	got.Now, got.OldestReady, want.Now, want.OldestReady = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	if len(got.Reasons) == 0 && len(want.Reasons) == 0 {
		got.Reasons, want.Reasons = nil, nil
	}
	if !reflect.DeepEqual(got, want) {
		p.t.Fatalf("%s: the status is %+v, want %+v", what, got, want)
	}
	if listed := p.walk(inbox.Filter{}, 3, nil); len(listed) != int(want.Waiting()+want.Dead+want.Done) {
		p.t.Fatalf("%s: %d events are listed, want %d", what, len(listed), want.Waiting()+want.Dead+want.Done)
	}
	for _, f := range []inbox.Filter{{Type: "a"}, {Type: "b", State: inbox.Done}, {Reason: "age"}, {State: inbox.Dead, Since: time.UnixMilli(1)}, {ID: keys[0].String()}} {
		if a, b := p.walk(f, 3, nil), model.walk(f, 3, nil); len(a) != len(b) {
			p.t.Fatalf("%s: %d events match %+v, want %d", what, len(a), f, len(b))
		}
	}
	for _, k := range keys {
		a, b := p.get(k), model.get(k)
		if !near(a.Accepted, b.Accepted) || !near(a.Begun, b.Begun) || !near(a.Due, b.Due) || !near(a.Settled, b.Settled) || len(a.Attempts) != len(b.Attempts) {
			p.t.Fatalf("%s: the event is %+v, want %+v", what, a, b)
		}
		for _, r := range []*inbox.Record{&a, &b} {
			r.Accepted, r.Begun, r.Due, r.Settled, r.Attempts = time.Time{}, time.Time{}, time.Time{}, time.Time{}, nil
		}
		if !reflect.DeepEqual(a.Info, b.Info) || string(a.Envelope) != string(b.Envelope) {
			p.t.Fatalf("%s: the event is %+v, want %+v", what, a, b)
		}
	}
}
