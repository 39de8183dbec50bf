package queuetest

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// queue is one inbox of a Model.
type queue struct {
	m    *Model
	name string
	o    inbox.Options
}

func (q *queue) step(ctx context.Context, do func(l *list, now time.Time) error) error {
	return q.m.step(ctx, func(now time.Time) error {
		l := q.m.lists[q.name]
		if l == nil {
			l = &list{events: make(map[inbox.Key]*event)}
		}
		err := do(l, now)
		if len(l.events) > 0 || l.paused || l.held {
			q.m.lists[q.name] = l
		}
		return err
	})
}

// fits reports whether one more event may wait.
func (l *list) fits(o inbox.Options, size int, now time.Time) bool {
	s := l.status(now)
	return (o.MaxEvents == 0 || s.Waiting() < o.MaxEvents) && (o.MaxBytes == 0 || s.Bytes+int64(size) <= o.MaxBytes)
}

// Put implements inbox.Queue.
func (q *queue) Put(ctx context.Context, ev inbox.Event) (a inbox.Answer, err error) {
	if err := inbox.CheckEvent(ev); err != nil {
		return 0, err
	}
	err = q.step(ctx, func(l *list, now time.Time) error {
		if e := l.events[ev.Key]; e != nil {
			if a = q.revive(l, e, now); a == inbox.Revived && e.damaged {
				e.Envelope, e.Size, e.damaged = bytes.Clone(ev.Envelope), len(ev.Envelope), false
			}
			return nil
		}
		if a = inbox.Full; !l.fits(q.o, len(ev.Envelope), now) {
			return nil
		}
		e := &event{Record: inbox.Record{Envelope: bytes.Clone(ev.Envelope)}}
		e.Info = inbox.Info{Key: ev.Key, Scope: ev.Scope, ID: ev.ID, Type: ev.Type, Accepted: now, Size: len(ev.Envelope)}
		e.begin(now, false)
		l.events[ev.Key] = e
		a = inbox.Accepted
		return nil
	})
	return a, err
}

// Revive implements inbox.Queue.
func (q *queue) Revive(ctx context.Context, k inbox.Key) (a inbox.Answer, err error) {
	if err := inbox.CheckKey(k); err != nil {
		return 0, err
	}
	err = q.step(ctx, func(l *list, now time.Time) error {
		if a = inbox.NotKept; l.events[k] != nil {
			a = q.revive(l, l.events[k], now)
		}
		return nil
	})
	return a, err
}

func (q *queue) revive(l *list, e *event, now time.Time) inbox.Answer {
	switch {
	case e.State == inbox.Done:
		return inbox.Finished
	case e.State != inbox.Dead:
		return inbox.Queued
	case !l.fits(q.o, e.Size, now):
		return inbox.Full
	}
	e.begin(now, false)
	return inbox.Revived
}

// Take implements inbox.Queue.
func (q *queue) Take(ctx context.Context, n int, lease time.Duration) (b inbox.Batch, err error) {
	if err := inbox.CheckLease(lease); err != nil {
		return b, err
	}
	err = q.step(ctx, func(l *list, now time.Time) error {
		l.removeOld(q.o, now)
		b = inbox.Batch{Now: now, Token: inbox.NewToken(), Wait: -1}
		switch {
		case l.paused:
			return nil
		case l.held && now.Before(l.until):
			b.Wait = l.until.Sub(now)
			return nil
		case l.held:
			n = min(n, 1)
		}
		for _, e := range l.sorted() {
			if len(b.Deliveries) == n || e.stateAt(now) != inbox.Ready {
				continue
			}
			if e.damaged {
				e.Reason = inbox.Damaged
				e.end(inbox.Dead, now)
				continue
			}
			e.Info.Attempts++
			e.token, e.Due = b.Token, now.Add(lease)
			b.Deliveries = append(b.Deliveries, inbox.Delivery{Info: e.infoAt(now), Envelope: bytes.Clone(e.Envelope)})
		}
		if l.held && len(b.Deliveries) == 1 {
			l.until, b.Wait, b.Probe = now.Add(lease), lease, true
			return nil
		}
		for _, e := range l.sorted() {
			if e.State.Waits() {
				b.Wait = max(0, e.Due.Sub(now))
				break
			}
		}
		return nil
	})
	return b, err
}

// removeOld removes events whose time in the options is over.
func (l *list) removeOld(o inbox.Options, now time.Time) {
	over := func(settled time.Time, keep time.Duration) bool { return keep > 0 && !settled.Add(keep).After(now) }
	for k, e := range l.events {
		if e.State == inbox.Dead && over(e.Settled, o.KeepDead) || e.State == inbox.Done && over(e.Settled, o.Keep) {
			delete(l.events, k)
		}
	}
}

// Extend implements inbox.Queue.
func (q *queue) Extend(ctx context.Context, k inbox.Key, t inbox.Token, lease time.Duration) error {
	if err := inbox.CheckLease(lease); err != nil {
		return err
	}
	return q.step(ctx, func(l *list, now time.Time) error {
		e := l.events[k]
		if e == nil || e.token != t || t == (inbox.Token{}) {
			return inbox.ErrLost
		}
		e.Due = now.Add(lease)
		return nil
	})
}

// Settle implements inbox.Queue.
func (q *queue) Settle(ctx context.Context, k inbox.Key, t inbox.Token, s inbox.Settlement) error {
	s, err := inbox.CheckSettlement(s)
	if err != nil {
		return err
	}
	return q.step(ctx, func(l *list, now time.Time) error {
		e := l.events[k]
		held := e != nil && e.token == t && t != (inbox.Token{})
		switch {
		case s.Outcome == inbox.Success && (e == nil || e.State == inbox.Done):
			return nil
		case s.Outcome != inbox.Success && !held:
			return inbox.ErrLost
		}
		if s.Outcome == inbox.Postpone {
			e.Due, e.token = now.Add(s.Delay.Truncate(time.Millisecond)), inbox.Token{}
			e.Reason, e.Info.Attempts = s.Reason, e.Info.Attempts-1
			return nil
		}
		e.Record.Attempts = inbox.Remember(slices.Clone(e.Record.Attempts), s.Attempt)
		e.Status = s.Attempt.Status
		switch s.Outcome {
		case inbox.Retry:
			e.Due, e.token, e.Reason = now.Add(s.Delay.Truncate(time.Millisecond)), inbox.Token{}, ""
		case inbox.GiveUp:
			e.Reason = s.Reason
			e.end(inbox.Dead, now)
		default:
			e.Reason = ""
			e.end(inbox.Done, now)
			if !q.o.KeepBodies {
				e.Envelope, e.Size = nil, 0
			}
		}
		return nil
	})
}

// Replay implements inbox.Queue.
func (q *queue) Replay(ctx context.Context, keys []inbox.Key, after, gap time.Duration) (moved int, err error) {
	if err := inbox.CheckKeys(keys); err != nil {
		return 0, err
	}
	err = q.step(ctx, func(l *list, now time.Time) error {
		for _, k := range keys {
			e := l.events[k]
			if e == nil || e.Size == 0 {
				continue
			}
			state := e.stateAt(now)
			if state == inbox.Ready || state == inbox.Leased {
				continue
			}
			if !state.Waits() && !l.fits(q.o, e.Size, now) {
				return inbox.ErrFull
			}
			e.begin(now.Add(after+time.Duration(moved)*gap).Truncate(time.Millisecond), true)
			moved++
		}
		return nil
	})
	return moved, err
}

// Delete implements inbox.Queue.
func (q *queue) Delete(ctx context.Context, keys []inbox.Key) (deleted int, err error) {
	if err := inbox.CheckKeys(keys); err != nil {
		return 0, err
	}
	err = q.step(ctx, func(l *list, _ time.Time) error {
		for _, k := range keys {
			if l.events[k] != nil {
				delete(l.events, k)
				deleted++
			}
		}
		return nil
	})
	return deleted, err
}

// Pause implements inbox.Queue.
func (q *queue) Pause(ctx context.Context, paused bool) error {
	return q.step(ctx, func(l *list, _ time.Time) error {
		l.paused = paused
		return nil
	})
}

// Hold implements inbox.Queue.
func (q *queue) Hold(ctx context.Context, d time.Duration) error {
	return q.step(ctx, func(l *list, now time.Time) error {
		l.held, l.until = d > 0, now.Add(d)
		return nil
	})
}

// Page implements inbox.Queue.
func (q *queue) Page(ctx context.Context, f inbox.Filter, cursor string, limit int) (p inbox.Page, err error) {
	err = q.step(ctx, func(l *list, now time.Time) (err error) {
		p, err = l.page(f, cursor, limit, now)
		return err
	})
	return p, err
}

// Get implements inbox.Queue.
func (q *queue) Get(ctx context.Context, k inbox.Key) (r inbox.Record, err error) {
	err = q.step(ctx, func(l *list, now time.Time) error {
		e := l.events[k]
		if e == nil {
			return inbox.ErrUnknown
		}
		r = e.Record
		r.Info = e.infoAt(now)
		if r.Envelope = bytes.Clone(e.Envelope); e.damaged {
			r.Envelope = nil
		}
		return nil
	})
	return r, err
}

// Status implements inbox.Queue.
func (q *queue) Status(ctx context.Context) (s inbox.Status, err error) {
	err = q.step(ctx, func(l *list, now time.Time) error {
		s = l.status(now)
		return nil
	})
	return s, err
}
