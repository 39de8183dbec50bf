package caddymodule

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// Another gateway's claim is asked for again at these intervals while a copy
// waits: soon at first, since most apps answer fast.
const (
	firstPoll = 25 * time.Millisecond
	lastPoll  = 250 * time.Millisecond
)

// standing is where an event stands before it is delivered.
type standing int

const (
	unidentified standing = iota // its copies cannot be recognised: it is delivered without a claim
	claimed                      // this attempt holds the claim
	done                         // it is finished: this is a duplicate
	unknown                      // neither can be said, so the request goes no further
)

// admission is the outcome of an attempt to claim an event. Its standing decides which
// fields are set.
type admission struct {
	standing standing
	claim    *claim           // claimed
	finished finished         // done
	refused  *webhook.Refusal // unknown
}

// finished is the response to a copy of a finished event.
type finished struct {
	success   *dedupe.Success // its flight's
	conflict  bool            // the ID was known with other content
	byContent bool            // the content or replay key was known, not the ID
}

func admit(c *claim) admission                   { return admission{standing: claimed, claim: c} }
func duplicateOf(f finished) admission           { return admission{standing: done, finished: f} }
func cannotClaim(why *webhook.Refusal) admission { return admission{standing: unknown, refused: why} }

func errInFlight() *webhook.Refusal {
	return webhook.Refuse(webhook.InFlight, "another copy of the event is still being handled")
}

// claim acquires the right to deliver the event, or reports why it cannot.
func (x *exchange) claim() admission {
	if x.event.Keys == (dedupe.Event{}) {
		return admission{standing: unidentified}
	}
	if err := openStore(x); err != nil {
		return cannotClaim(webhook.Refuse(webhook.StoreUnavailable, "%w", err))
	}
	c := claiming{x: x, wait: waitBudget{request: x.r.Context(), end: time.Now().Add(x.guard.sender.Rules.Wait)}}
	defer c.wait.stop()
	return c.admission()
}

// claiming is one attempt to claim an event, which may have to wait for a copy.
type claiming struct {
	x    *exchange
	wait waitBudget
}

func (c *claiming) admission() admission {
	keys := c.x.event.Keys
	for {
		flight, lead := c.x.store.flights.join(keys, c.x.event.Owned())
		if lead {
			return c.lead(flight)
		}
		if err := c.follow(flight); err != nil {
			return cannotClaim(errInFlight())
		}
		if flight.answers(keys) {
			return duplicateOf(finished{
				success:   &flight.success,
				byContent: keys.ID.IsZero() || keys.ID != flight.finished.ID,
				conflict: keys.ID == flight.event.ID && keys.Content != flight.event.Content &&
					!keys.Content.IsZero() && !flight.event.Content.IsZero(),
			})
		}
	}
}

// follow waits for the outcome of a copy that came first, with its body in place of the
// copy's own.
func (c *claiming) follow(flight *flight) error {
	c.x.body.own(c.x.store.flights.sameBody(flight, c.x.event.Owned()))
	defer outside(c.x)()
	return c.x.store.flights.follow(c.wait.context(), flight)
}

// lead asks the store on behalf of every copy of the event in this process.
func (c *claiming) lead(flight *flight) admission {
	keys := c.x.event.Keys
	held := &claim{x: c.x, keys: keys, token: dedupe.NewToken(), lease: c.x.guard.sender.Rules.Lease, flight: flight}
	for poll := firstPoll; ; poll = min(2*poll, lastPoll) {
		held.taken = c.x.guard.now()
		found, err := c.x.store.Claim(context.WithoutCancel(c.wait.request), keys, held.token, held.lease)
		switch {
		case err != nil:
			return c.withoutStore(held, err)
		case found.State == dedupe.Claimed:
			held.inStore = true
			return admit(held)
		case found.State == dedupe.Done:
			finishedKeys := dedupe.Event{ID: keys.ID}
			if found.ByContent {
				finishedKeys = dedupe.Event{Content: keys.Content}
			}
			c.x.store.flights.finish(flight, finishedKeys, dedupe.Success{Status: found.Status, Reply: found.Reply, IDText: found.IDText})
			return duplicateOf(finished{success: &flight.success, conflict: found.Conflict, byContent: found.ByContent})
		}
		if !c.rest(poll) {
			c.x.store.flights.finish(flight, dedupe.Event{}, dedupe.Success{})
			return cannotClaim(errInFlight())
		}
	}
}

// outside counts the time until the function that it returns is called as neither the guard's own
// nor the app's.
func outside(x *exchange) (end func()) {
	start := x.guard.now()
	return func() { x.waited += x.guard.now().Sub(start) }
}

// rest waits for another gateway, and reports whether there is time to ask again.
func (c *claiming) rest(poll time.Duration) bool {
	defer outside(c.x)()
	return waitFor(c.wait.context(), poll)
}

// withoutStore decides what happens when the store fails. The claim may have reached the
// store, so it is released if possible.
func (c *claiming) withoutStore(held *claim, err error) admission {
	if withoutDedupe(c.x.guard, err) {
		c.x.guard.metrics.withoutDedupe.WithLabelValues(c.x.guard.ProviderName).Inc()
		logEvent(c.x, zap.WarnLevel, "forwarding without dedupe: the store does not answer", zap.Error(err))
		return admit(held)
	}
	c.x.store.flights.finish(held.flight, dedupe.Event{}, dedupe.Success{})
	if !errors.Is(err, dedupe.ErrFull) {
		store := held.x.store
		store.background(func(ctx context.Context) { _ = store.Release(ctx, held.keys, held.token) })
	}
	return cannotClaim(webhook.Refuse(webhook.StoreUnavailable, "claiming the event: %w", err))
}

// withoutDedupe reports whether an event is forwarded although it could not be claimed. A store
// that is full answers.
func withoutDedupe(g *Guard, err error) bool {
	return g.OnStoreError == storeErrorForward && !errors.Is(err, dedupe.ErrFull)
}

// waitBudget is how long a copy may wait. Most events have nothing to wait for, so its
// context is made when it is first needed.
type waitBudget struct {
	request context.Context
	end     time.Time
	ctx     context.Context
	cancel  context.CancelFunc
}

func (b *waitBudget) context() context.Context {
	if b.ctx == nil {
		b.ctx, b.cancel = context.WithDeadline(b.request, b.end)
	}
	return b.ctx
}

func (b *waitBudget) stop() {
	if b.cancel != nil {
		b.cancel()
	}
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
