package redis

import (
	"context"
	"time"
)

// deadline is a context that ends at a time, and has no timer. Who waits under it looks at
// the time: see lanes.
type deadline struct {
	context.Context
	end time.Time
}

// withDeadline returns a deadline that is so far away, or its parent's where that is nearer.
func withDeadline(parent context.Context, d time.Duration) context.Context {
	end := time.Now().Add(d)
	if earlier, ok := parent.Deadline(); ok && earlier.Before(end) {
		end = earlier
	}
	return deadline{parent, end}
}

// Deadline implements [context.Context].
func (d deadline) Deadline() (time.Time, bool) { return d.end, true }

// Err implements [context.Context].
func (d deadline) Err() error {
	if err := d.Context.Err(); err != nil {
		return err
	}
	if time.Now().Before(d.end) {
		return nil
	}
	return context.DeadlineExceeded
}

// timed returns the context with a timer, as the library needs it.
func timed(ctx context.Context) (context.Context, context.CancelFunc) {
	if d, ok := ctx.(deadline); ok {
		return context.WithDeadline(d.Context, d.end)
	}
	return context.WithCancel(ctx)
}
