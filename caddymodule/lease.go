package caddymodule

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// claim is the right to deliver one event. A nil claim belongs to an event without any
// key: it is always fresh, and there is nothing to renew or to settle.
type claim struct {
	x     *exchange
	keys  dedupe.Event
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
	ended   bool
}

// fresh reports whether at least half of the lease is surely left. Nothing is
// forwarded otherwise: a process that was stopped, or a store that was slow,
// could forward an event that another gateway has taken over meanwhile.
func (c *claim) fresh(now time.Time) bool {
	return c == nil || !c.inStore || now.Sub(c.taken) <= c.lease/2
}

// startRenewing renews the claim until stopRenewing is called.
func (c *claim) startRenewing() {
	if c == nil || !c.inStore {
		return
	}
	c.turn = make(chan struct{}, 1)
	c.turn <- struct{}{}
	c.renewal = time.AfterFunc(c.lease/3, func() {
		c.turn <- struct{}{}
		if !c.ended {
			c.renew()
			c.renewal.Reset(c.lease / 3)
		}
		<-c.turn
	})
	<-c.turn
}

// stopRenewing ends the renewals and waits for one in progress: none may follow the
// claim's release.
func (c *claim) stopRenewing() {
	if c == nil || c.renewal == nil {
		return
	}
	c.turn <- struct{}{} // a renewal that was under way has set the timer again
	c.ended = true
	c.renewal.Stop()
	<-c.turn
}

// renew extends the claim. The lease may have run out, for instance after an outage of
// the store. If nobody else has taken the event, renew claims it again, since the app is
// still working on it. If somebody has, there is nothing left to do: the app may well
// finish first, and its success counts.
func (c *claim) renew() {
	// Not the stop's context: a command that is cut off may still have been
	// carried out, and the store's own deadline is short.
	ctx := context.Background()
	err := c.x.store.Renew(ctx, c.keys, c.token, c.lease)
	if !errors.Is(err, dedupe.ErrLost) {
		return // renewed, or the store is away and the next turn comes soon
	}
	answer, err := c.x.store.Claim(ctx, c.keys, c.token, c.lease)
	if err == nil && answer.State != dedupe.Claimed {
		logEvent(c.x, zap.WarnLevel, "lost the claim on an event that the app is still working on; it may be handled twice")
	}
}
