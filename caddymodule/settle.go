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
		c.commit(ctx, c.success(out.answer))
		return
	}
	if err := c.x.store.Release(ctx, c.keys, c.token); err != nil && c.inStore {
		c.x.guard.logger.Warn("the claim on a failed event could not be released; its lease ends it",
			c.x.logFields(zap.Duration("lease", c.lease), zap.Error(err))...)
		c.x.store.releaseLater(c.keys, c.token, c.lease)
	}
	c.x.store.flights.finish(c.flight, dedupe.Event{}, dedupe.Success{})
}

// commit records the success. If the store fails, the sender gets the success all the
// same, since it is a fact, and the commit is retried in the background. Until then
// copies in this process still get the flight's outcome.
func (c *claim) commit(ctx context.Context, success dedupe.Success) {
	ttl := c.x.guard.sender.TTL(&c.x.event, c.x.guard.now())
	if !c.keys.Content.IsZero() {
		success.IDText = shortID(c.x.event.ID)
	}
	err := c.x.store.Commit(ctx, c.keys, success, ttl)
	if err == nil {
		c.x.store.flights.finish(c.flight, c.keys, success)
		return
	}
	c.x.guard.logger.Warn("the event succeeded but could not be committed; retrying in the background",
		c.x.logFields(zap.Error(err))...)
	c.x.store.flights.conclude(c.flight, c.keys, success)
	c.x.store.commitLater(c.flight, c.keys, success, ttl)
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

// commitLater retries to commit a success.
func (s *sharedStore) commitLater(flight *flight, event dedupe.Event, success dedupe.Success, ttl time.Duration) {
	s.background(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, commitRetryFor)
		defer cancel()
		for waitFor(ctx, retryPause) {
			s.metrics.commitRetries.WithLabelValues(s.kind).Inc()
			if s.Commit(ctx, event, success, ttl) == nil {
				break
			}
		}
		s.flights.remove(flight)
	})
}
