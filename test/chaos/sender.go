package chaos

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// habit is how one of the five senders retries, after its documentation: the delays
// have its proportions, not its length. Where the sender would have given up, a run
// repeats the last delay.
type habit struct {
	delays []time.Duration
	// final are the statuses after which it drops the event.
	final func(status int) bool
}

var habits = map[string]habit{
	"okrapdf":   {delays: millis(100, 300, 1500), final: never},
	"struktr":   {delays: millis(100, 300, 600, 1000, 1500), final: never},
	"docintell": {delays: millis(0, 100, 200, 400, 800), final: func(status int) bool { return status/100 == 4 }},
	"ocriva":    {delays: millis(200, 400, 800), final: never},
	"docrouter": {
		delays: millis(50, 100, 200, 400, 800, 1500),
		final: func(status int) bool {
			return status/100 != 5 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests
		},
	},
}

func never(int) bool { return false }

func millis(each ...int) []time.Duration {
	all := make([]time.Duration, len(each))
	for i, n := range each {
		all[i] = time.Duration(n) * time.Millisecond
	}
	return all
}

// emit is one sender: it makes events until the load ends and delivers each one. The
// number of events in progress is bounded, or an outage would end in a flood.
func (t *traffic) emit(load context.Context, s testbed.Sender, salt uint64) {
	r := rand.New(rand.NewPCG(t.seed, salt))
	underWay := make(chan struct{}, 60)
	for sleep(load, within(r, 0, 2*t.pause)) {
		events := rand.New(rand.NewPCG(r.Uint64(), salt)) // drawn here: the order is the seed's
		underWay <- struct{}{}
		t.sending.Go(func() {
			defer func() { <-underWay }()
			t.deliver(load, s, events)
		})
	}
}

// deliver makes an event and sends it until it is acknowledged, and sometimes once after that.
func (t *traffic) deliver(load context.Context, s testbed.Sender, r *rand.Rand) {
	e := t.rec.register(s, testbed.Event{}.Fill())
	habit := habits[s.Name]
	for n := 0; !t.rec.acknowledged(e); n++ {
		if t.givenUp.Err() != nil {
			return // the run is over, and has failed
		}
		if n > 0 {
			time.Sleep(habit.delays[min(n, len(habit.delays))-1])
		}
		t.round(e, r)
		if t.dropped(e, habit) {
			return
		}
	}
	t.captured(e)
	if r.IntN(10) == 0 {
		sleep(load, within(r, 100*time.Millisecond, 15*time.Second)) // at the latest when the load ends
		t.insist(e, resent, r)
	}
}

// dropped reports whether the sender got an answer that it treats as final.
func (t *traffic) dropped(e *event, h habit) bool {
	t.rec.mu.Lock()
	defer t.rec.mu.Unlock()
	return slices.ContainsFunc(e.attempts, func(a *attempt) bool {
		return a.kind == genuine && a.status != 0 && !a.acknowledged() && h.final(a.status)
	})
}

// round is one attempt, sometimes with copies at the same time.
func (t *traffic) round(e *event, r *rand.Rand) {
	copies := 0
	if r.IntN(10) == 0 {
		copies = 1 + r.IntN(3)
	}
	var h hangUp
	switch p := r.IntN(100); {
	case p < 2:
		h.inBody = true
	case p < 5:
		h.after = within(r, time.Millisecond, 200*time.Millisecond)
	}
	var all sync.WaitGroup
	for range copies {
		gateway := t.balancer.choose(r)
		all.Go(func() { t.attempt(e, copied, gateway, hangUp{}) })
	}
	t.attempt(e, genuine, t.balancer.choose(r), h)
	all.Wait()
}

// request is a new attempt of an event.
func (t *traffic) request(e *event, gateway int) *http.Request {
	made := e.made
	made.Sent = time.Now()
	return e.from.Request(t.tb, t.balancer.urls[gateway], made)
}

func (t *traffic) attempt(e *event, kind attemptKind, gateway int, h hangUp) *attempt {
	req := t.request(e, gateway)
	a := t.rec.begin(e, kind, gateway)
	t.send(a, req, h)
	return a
}

// insist sends an acknowledged event until it is acknowledged again.
func (t *traffic) insist(e *event, kind attemptKind, r *rand.Rand) {
	for t.givenUp.Err() == nil {
		if t.attempt(e, kind, t.balancer.choose(r), hangUp{}).acknowledged() {
			return
		}
		time.Sleep(within(r, 100*time.Millisecond, 400*time.Millisecond))
	}
}

// sleep returns false when the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
