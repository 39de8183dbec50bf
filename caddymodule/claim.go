package caddymodule

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// Another gateway's claim is asked for again at these intervals while a copy
// waits: soon at first, since most apps answer fast.
const (
	firstPoll = 25 * time.Millisecond
	lastPoll  = 250 * time.Millisecond
)

// claim is the right to forward one event.
type claim struct {
	event dedupe.Event
	token dedupe.Token
	lease time.Duration
	// taken is when the claim was first asked for, by the local monotonic
	// clock: the lease in the store cannot have begun earlier.
	taken  time.Time
	flight *flight
	// inStore is false where the store could not be asked and on_store_error
	// said to forward all the same.
	inStore bool

	// While the app works: whoever holds the turn may use the other two.
	turn    chan struct{}
	renewal *time.Timer
	over    bool
}

// finished is how an event that is done already answers.
type finished struct {
	status   int
	conflict bool // the ID was known with other content
}

// eventKeys derives the event's keys in the store from what identifies it.
func eventKeys(scope string, event config.Identified) dedupe.Event {
	var keys dedupe.Event
	if len(event.ID) > 0 {
		parts := make([][]byte, 0, len(event.ID)+1)
		parts = append(parts, []byte(scope))
		for _, part := range event.ID {
			parts = append(parts, []byte(part))
		}
		keys.ID = dedupe.NewKey("id", parts...)
	}
	if event.Content != nil {
		keys.Content = dedupe.NewKey("content", append([][]byte{[]byte(scope)}, event.Content...)...)
	}
	return keys
}

// claim gets the right to forward the delivery's event. One of its results is
// not nil: the claim; the answer of an event that is finished; or why neither
// can be said. All are nil where nothing identifies the event: it is forwarded
// without dedupe.
func (d *delivery) claim() (*claim, *finished, *refusal) {
	if d.keys == (dedupe.Event{}) {
		return nil, nil, nil
	}
	if d.store == nil {
		var err error
		if d.store, err = d.guard.app.enter(); err != nil {
			return nil, nil, refuse(ResultStoreUnavailable, "opening the store: %w", err)
		}
	}
	p := patience{request: d.r.Context(), end: time.Now().Add(d.guard.rules.Wait)}
	defer p.stop()
	for {
		flight, lead := d.store.flights.join(d.keys, d.body)
		if lead {
			return d.lead(&p, flight)
		}
		if err := d.follow(p.context(), flight); err != nil {
			return nil, nil, errInFlight()
		}
		if flight.answers(d.keys) {
			return nil, &finished{
				status: flight.status,
				conflict: d.keys.ID == flight.event.ID && d.keys.Content != flight.event.Content &&
					!d.keys.Content.IsZero() && !flight.event.Content.IsZero(),
			}, nil
		}
	}
}

// patience is how long a copy may wait. Most events have nothing to wait for, so
// its context is made when it is first needed.
type patience struct {
	request context.Context
	end     time.Time
	ctx     context.Context
	cancel  context.CancelFunc
}

func (p *patience) context() context.Context {
	if p.ctx == nil {
		p.ctx, p.cancel = context.WithDeadline(p.request, p.end)
	}
	return p.ctx
}

func (p *patience) stop() {
	if p.cancel != nil {
		p.cancel()
	}
}

// follow waits for the outcome of a copy that came first, with its body in place
// of the copy's own.
func (d *delivery) follow(ctx context.Context, flight *flight) error {
	d.body = d.store.flights.sameBody(flight, d.body)
	d.facts.Body = d.body.data
	start := d.guard.now()
	defer func() { d.inApp += d.guard.now().Sub(start) }()
	return d.store.flights.follow(ctx, flight)
}

func errInFlight() *refusal {
	return refuse(ResultInFlight, "another copy of the event is still being handled")
}

// lead asks the store on behalf of every copy of the event in this process.
func (d *delivery) lead(p *patience, flight *flight) (*claim, *finished, *refusal) {
	c := &claim{event: d.keys, token: dedupe.NewToken(), lease: d.guard.rules.Lease, flight: flight}
	for poll := firstPoll; ; poll = min(2*poll, lastPoll) {
		c.taken = d.guard.now()
		answer, err := d.store.Claim(context.WithoutCancel(p.request), c.event, c.token, c.lease)
		switch {
		case err != nil:
			return d.leadWithoutStore(c, err)
		case answer.State == dedupe.Claimed:
			c.inStore = true
			return c, nil, nil
		case answer.State == dedupe.Done:
			done := dedupe.Event{ID: d.keys.ID}
			if answer.ByContent {
				done = dedupe.Event{Content: d.keys.Content}
			}
			d.store.flights.land(flight, done, answer.Status)
			return nil, &finished{status: answer.Status, conflict: answer.Conflict}, nil
		}
		if !waitFor(p.context(), poll) {
			d.store.flights.land(flight, dedupe.Event{}, 0)
			return nil, nil, errInFlight()
		}
	}
}

// leadWithoutStore decides what a store that cannot answer means. The claim may
// have reached it all the same, so it is given back as well as possible.
func (d *delivery) leadWithoutStore(c *claim, err error) (*claim, *finished, *refusal) {
	full := errors.Is(err, dedupe.ErrFull)
	if d.guard.OnStoreError == storeErrorForward && !full {
		d.guard.metrics.withoutDedupe.WithLabelValues(d.guard.ProviderName).Inc()
		d.guard.logger.Warn("forwarding without dedupe: the store does not answer", d.logFields(zap.Error(err))...)
		return c, nil, nil
	}
	d.store.flights.land(c.flight, dedupe.Event{}, 0)
	if !full {
		d.store.background(func(ctx context.Context) { _ = d.store.Release(ctx, c.event, c.token) })
	}
	return nil, nil, refuse(ResultStoreUnavailable, "claiming the event: %w", err)
}

// waitFor returns false when the context ends first, or has ended.
func waitFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// fresh reports whether at least half of the lease is surely left. Nothing is
// forwarded otherwise: a process that was stopped, or a store that was slow,
// could forward an event that another gateway has taken over meanwhile.
func (c *claim) fresh(now time.Time) bool {
	return !c.inStore || now.Sub(c.taken) <= c.lease/2
}

// keep renews the claim until letGo is called.
func (d *delivery) keep(c *claim) {
	if c == nil || !c.inStore {
		return
	}
	c.turn = make(chan struct{}, 1)
	c.turn <- struct{}{}
	c.renewal = time.AfterFunc(c.lease/3, func() {
		c.turn <- struct{}{}
		if !c.over {
			d.renew(c)
			c.renewal.Reset(c.lease / 3)
		}
		<-c.turn
	})
	<-c.turn
}

// letGo ends the renewals, and waits for one that is under way: none may follow the
// claim's release.
func (c *claim) letGo() {
	if c == nil || c.renewal == nil {
		return
	}
	c.turn <- struct{}{} // a renewal that was under way has set the timer again
	c.over = true
	c.renewal.Stop()
	<-c.turn
}

// renew extends the claim. Where its lease has run out but nobody else has
// taken the event, after an outage of the store for instance, it is claimed
// again: the app is still working on it. Where somebody has, there is nothing
// left to do: the app may well be done first, and its success counts.
func (d *delivery) renew(c *claim) {
	// Not the stop's context: a command that is cut off may still have been
	// carried out, and the store's own deadline is short.
	ctx := context.Background()
	err := d.store.Renew(ctx, c.event, c.token, c.lease)
	if !errors.Is(err, dedupe.ErrLost) {
		return // renewed, or the store is away and the next turn comes soon
	}
	answer, err := d.store.Claim(ctx, c.event, c.token, c.lease)
	if err == nil && answer.State != dedupe.Claimed {
		d.guard.logger.Warn("lost the claim on an event that the app is still working on; it may be handled twice", d.logFields()...)
	}
}
