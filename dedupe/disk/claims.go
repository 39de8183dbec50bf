package disk

import (
	"context"
	"sync"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/table"
)

// clock has the time of day, and how long the store has been open.
type clock struct {
	now   func() time.Time
	start time.Time
}

func newClock(now func() time.Time) clock {
	if now == nil {
		now = time.Now
	}
	return clock{now, now()}
}

// elapsed counts on the monotonic clock.
func (c clock) elapsed() time.Duration { return c.now().Sub(c.start) }

// claims are the events in flight. They are kept in memory only: nobody works on the
// claims of a process that has ended.
type claims struct {
	clock clock

	// mu guards what follows. A call that looks at claims and at the records of the
	// same events holds it throughout, so that it sees one state of both.
	mu     sync.Mutex
	table  table.Table
	closed bool
}

// lock enters a call. It takes mu, removes some lapsed claims and returns the time.
func (c *claims) lock(ctx context.Context) (now time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return 0, dedupe.ErrClosed
	}
	now = c.clock.elapsed()
	c.table.Reclaim(now, table.ReclaimBatch)
	return now, nil
}

// renew gives the claim of t on ev a new lease, if t holds all of it.
func (c *claims) renew(ctx context.Context, ev dedupe.Event, t dedupe.Token, lease time.Duration) error {
	now, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer c.mu.Unlock()
	if !c.table.Renew(ev, t, now, lease) {
		return dedupe.ErrLost
	}
	return nil
}

// release ends what t holds of ev.
func (c *claims) release(ctx context.Context, ev dedupe.Event, t dedupe.Token) error {
	if _, err := c.lock(ctx); err != nil {
		return err
	}
	defer c.mu.Unlock()
	c.table.Free(ev, t)
	return nil
}

// close refuses further calls.
func (c *claims) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}
