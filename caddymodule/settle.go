package caddymodule

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/texts"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

const (
	// What the store did not take is tried again this often.
	retryPause = 250 * time.Millisecond
	// A commit is retried for this long. Any sender has long stopped retrying an event that
	// it got a 2xx for.
	commitRetryFor = 15 * time.Minute
)

// settle records the outcome before anybody learns of it. It commits a success.
// Otherwise it releases the claim, so that the sender's retry is forwarded at once.
func (c *claim) settle(out outcome) {
	if c == nil {
		return
	}
	// The sender may have gone; its event's outcome is recorded all the same.
	ctx := context.WithoutCancel(c.x.r.Context())
	if out.success {
		c.finishes(c.success(out.answer)).record(ctx)
		return
	}
	if err := c.x.store.Release(ctx, c.keys, c.token); err != nil && c.inStore {
		logEvent(c.x, zap.WarnLevel, "the claim on a failed event could not be released; its lease ends it", zap.Duration("lease", c.lease), zap.Error(err))
		c.x.store.releaseLater(c.keys, c.token, c.lease)
	}
	c.x.store.flights.finish(c.flight, dedupe.Event{}, dedupe.Success{})
}

// settleKept records an event that is safe in an inbox. Where the store gathers commits, its
// sender need not wait for that: should the process end first, the inbox recognises the event's
// copies. Until it is done, copies get the flight's outcome. Elsewhere a failover may come in
// between, and lose the event and not its record: so the sender waits for both.
func (c *claim) settleKept(success dedupe.Success) {
	if c == nil {
		return
	}
	f, store := c.finishes(success), c.x.store
	if !f.keys.Content.IsZero() {
		// The app may take it as late as that, and it is remembered anew only then. By its ID the
		// inbox knows it meanwhile.
		f.ttl += time.Duration(c.x.guard.inbox.RetryFor)
	}
	if store.commits.gatherFor == 0 {
		f.record(context.WithoutCancel(c.x.r.Context()))
		return
	}
	store.flights.conclude(c.flight, c.keys, f.success)
	store.commits.add(store, f)
}

// finishing is the commit of a claim that has ended in success.
type finishing struct {
	*claim
	success dedupe.Success
	ttl     time.Duration
}

func (c *claim) finishes(success dedupe.Success) finishing {
	if !c.keys.Content.IsZero() {
		success.IDText = shortID(c.x.event.ID)
	}
	return finishing{c, success, c.x.guard.sender.TTL(&c.x.event, c.x.guard.now())}
}

// record commits the success. If the store fails, the sender gets the success all the
// same, since it is a fact, and the commit is retried in the background. Until then
// copies in this process still get the flight's outcome.
func (f finishing) record(ctx context.Context) {
	store := f.x.store
	err := store.Commit(ctx, f.keys, f.success, f.ttl)
	if err == nil {
		store.flights.finish(f.flight, f.keys, f.success)
		return
	}
	logEvent(f.x, zap.WarnLevel, "the event succeeded but could not be committed; retrying in the background", zap.Error(err))
	store.flights.conclude(f.flight, f.keys, f.success)
	store.commitLater(f.flight, f.keys, f.success, f.ttl, f.gone())
}

// gone reports whether there is nothing to be committed any more; nil where there always is. A
// failover may be why the store did not answer, and may have lost the event that an inbox had:
// then its claim is released, so that the sender can bring it again.
func (f finishing) gone() func(context.Context) bool {
	in, store, keys, token := f.x.guard.inbox, f.x.store, f.keys, f.token // not all of f, for as long as it is retried
	if in == nil {
		return nil
	}
	return func(ctx context.Context) bool {
		if !in.Lost(ctx, store.inboxes, inboxKey(keys)) {
			return false
		}
		_ = store.Release(ctx, keys, token) // its lease ends it otherwise
		return true
	}
}

// shortID is the ID as logs show it, for the log of a duplicate that comes with another one.
// Few are so long that it is cut.
func shortID(id []string) string {
	text := webhook.FormatID(id)
	if len(text) <= dedupe.MaxIDText {
		return text
	}
	return texts.Cut(text, dedupe.MaxIDText-len(texts.Ellipsis)) + texts.Ellipsis
}

// releaseLater retries to free a claim for as long as its lease could last.
func (s *sharedStore) releaseLater(event dedupe.Event, token dedupe.Token, lease time.Duration) {
	s.background(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, lease)
		defer cancel()
		for s.Release(ctx, event, token) != nil && waitFor(ctx, retryPause) {
		}
	})
}

// commitLater retries to commit a success. Where gone says that there is nothing to be
// committed any more, it ends.
func (s *sharedStore) commitLater(flight *flight, event dedupe.Event, success dedupe.Success, ttl time.Duration, gone func(context.Context) bool) {
	s.background(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, commitRetryFor)
		defer cancel()
		for waitFor(ctx, retryPause) {
			if gone != nil && gone(ctx) {
				break
			}
			s.metrics.commitRetries.WithLabelValues(s.kind).Inc()
			if s.Commit(ctx, event, success, ttl) == nil {
				break
			}
		}
		s.flights.remove(flight)
	})
}
