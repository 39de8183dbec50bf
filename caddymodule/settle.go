package caddymodule

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

const (
	// What the store did not take is tried again this often.
	retryPause = 250 * time.Millisecond
	// A commit is tried for so long: any sender has long stopped to retry an
	// event that it got a 2xx for.
	commitRetryFor = 15 * time.Minute
)

// settle makes the outcome known before anybody is told of it: success is
// committed, anything else gives the claim back, so that the sender's retry is
// forwarded at once.
func (d *delivery) settle(c *claim, out outcome) {
	if c == nil {
		return // an event that nothing identifies
	}
	// The sender may have gone; what its event came to is recorded all the same.
	ctx := context.WithoutCancel(d.r.Context())
	if out.success {
		d.commit(ctx, c, out.answer.status)
		return
	}
	if err := d.store.Release(ctx, c.event, c.token); err != nil && c.inStore {
		d.guard.logger.Warn("the claim on a failed event could not be released; its lease ends it",
			d.logFields(zap.Duration("lease", c.lease), zap.Error(err))...)
		d.store.releaseLater(c)
	}
	d.store.flights.land(c.flight, dedupe.Event{}, 0)
}

// releaseLater tries on to free a claim for as long as its lease could last.
func (s *sharedStore) releaseLater(c *claim) {
	s.background(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, c.lease)
		defer cancel()
		for s.Release(ctx, c.event, c.token) != nil && waitFor(ctx, retryPause) {
		}
	})
}

// commit records the success. If the store does not take it, the sender is told
// of the success all the same, since it is a fact, and the commit is tried on.
// Until then copies in this process still meet the flight's outcome.
func (d *delivery) commit(ctx context.Context, c *claim, status int) {
	ttl := d.ttl()
	err := d.store.Commit(ctx, c.event, status, ttl)
	if err == nil {
		d.store.flights.land(c.flight, c.event, status)
		return
	}
	d.guard.logger.Warn("the event succeeded but could not be committed; trying on in the background",
		d.logFields(zap.Error(err))...)
	store, flight, event := d.store, c.flight, c.event
	store.flights.conclude(flight, event, status)
	store.background(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, commitRetryFor)
		defer cancel()
		for waitFor(ctx, retryPause) {
			store.countCommitRetry()
			if store.Commit(ctx, event, status, ttl) == nil {
				break
			}
		}
		store.flights.remove(flight)
	})
}

// ttl is how long the event is to be remembered from now on: dedupe_ttl beyond
// the latest time that a copy of it could still carry.
func (d *delivery) ttl() time.Duration {
	now := d.guard.now()
	latest := now
	for _, t := range []time.Time{d.verdict.Time, d.verdict.EventTime} {
		if t.After(latest) {
			latest = t
		}
	}
	return latest.Sub(now) + d.guard.rules.DedupeTTL + d.guard.rules.Window.MaxSkew
}
