package disk

import (
	"context"
	"errors"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// queue is an inbox under options.
type queue struct {
	s *Store
	b *box
	o inbox.Options
}

// Put implements inbox.Queue.
func (q *queue) Put(ctx context.Context, ev inbox.Event) (a inbox.Answer, err error) {
	if err := inbox.CheckEvent(ev); err != nil {
		return 0, err
	}
	if uint64(len(ev.Envelope)) > maxBody {
		return 0, errTooLarge
	}
	err = q.s.writer.do(ctx, len(ev.Envelope), func(t *turn) error {
		e, err := t.load(q.b, ev.Key)
		switch {
		case err != nil:
			return err
		case e != nil:
			a = q.revive(t, e, ev.Envelope)
		case !q.b.fits(q.o, len(ev.Envelope)):
			a = inbox.Full
		default:
			e := (&entry{key: ev.Key, accepted: t.now, typed: typeSum(ev.Type), meta: &meta{ev.Scope, ev.ID, ev.Type}}).begins(t.now, false)
			e.body = t.addBody(ev.Key, ev.Envelope)
			t.set(q.b, nil, e, nil)
			a = inbox.Accepted
		}
		return nil
	})
	return answered(a, err)
}

// answered is the answer, unless there is an error.
func answered(a inbox.Answer, err error) (inbox.Answer, error) {
	if err != nil {
		return 0, err
	}
	return a, nil
}

// Revive implements inbox.Queue.
func (q *queue) Revive(ctx context.Context, k inbox.Key) (a inbox.Answer, err error) {
	if err := inbox.CheckKey(k); err != nil {
		return 0, err
	}
	err = q.s.writer.do(ctx, 0, func(t *turn) error {
		e, err := t.load(q.b, k)
		if a = inbox.NotKept; e != nil {
			a = q.revive(t, e, nil)
		}
		return err
	})
	return answered(a, err)
}

// revive makes a dead event ready again, with the copy's envelope where its own was damaged.
func (q *queue) revive(t *turn, e *entry, envelope []byte) inbox.Answer {
	switch {
	case e.kind == done:
		return inbox.Finished
	case e.kind != dead:
		return inbox.Queued
	}
	n := e.begins(t.now, false)
	heals := e.reason == inbox.Damaged && len(envelope) > 0
	if heals {
		n.body.size = uint32(len(envelope))
	}
	if !q.b.fits(q.o, int(n.body.size)) {
		return inbox.Full
	}
	if heals {
		n.body = t.addBody(e.key, envelope)
	}
	t.set(q.b, e, n, nil)
	return inbox.Revived
}

// Extend implements inbox.Queue.
func (q *queue) Extend(ctx context.Context, k inbox.Key, tok inbox.Token, lease time.Duration) error {
	if err := inbox.CheckLease(lease); err != nil {
		return err
	}
	return q.s.writer.do(ctx, 0, func(t *turn) error {
		e := q.b.entries[k] // those that wait are all in memory
		if e == nil || e.kind != waiting || e.token != tok || tok == (inbox.Token{}) {
			return inbox.ErrLost
		}
		n := *e
		n.at = t.now + lease.Milliseconds()
		t.set(q.b, e, &n, nil)
		return nil
	})
}

// Settle implements inbox.Queue.
func (q *queue) Settle(ctx context.Context, k inbox.Key, tok inbox.Token, s inbox.Settlement) error {
	s, err := inbox.CheckSettlement(s)
	if err != nil {
		return err
	}
	attempt := (&decoder{rest: encodeAttempt(nil, s.Attempt)}).attempt() // as it will be read
	return q.s.writer.do(ctx, 0, func(t *turn) error {
		e, err := t.load(q.b, k)
		switch {
		case err != nil:
			return err
		case s.Outcome == inbox.Success && (e == nil || e.kind == done):
			return nil
		case s.Outcome != inbox.Success && (e == nil || e.token != tok || tok == (inbox.Token{})):
			return inbox.ErrLost
		}
		var n *entry
		switch s.Outcome {
		case inbox.Retry:
			n = e.ends(waiting, t.now+s.Delay.Milliseconds())
		case inbox.GiveUp:
			n = e.ends(dead, t.now)
		case inbox.Postpone:
			n = e.ends(waiting, t.now+s.Delay.Milliseconds())
			n.reason, n.attempts = s.Reason, e.attempts-1
			t.set(q.b, e, n, nil)
			return nil
		default:
			n = e.ends(done, t.now)
			if !q.o.KeepBodies {
				n.body = place{}
			}
		}
		n.reason, n.status = s.Reason, uint16(s.Attempt.Status)
		t.set(q.b, e, n, &attempt)
		return nil
	})
}

// Replay implements inbox.Queue.
func (q *queue) Replay(ctx context.Context, keys []inbox.Key, after, gap time.Duration) (moved int, err error) {
	if err := inbox.CheckKeys(keys); err != nil {
		return 0, err
	}
	keys = append([]inbox.Key(nil), keys...)
	err = q.s.writer.do(ctx, 0, func(t *turn) error {
		for _, k := range keys {
			e, err := t.load(q.b, k)
			if err != nil {
				return err
			}
			if e == nil || e.body.size == 0 || e.kind == waiting && e.stateAt(t.now) != inbox.Delayed {
				continue
			}
			if e.kind != waiting && !q.b.fits(q.o, int(e.body.size)) {
				return inbox.ErrFull
			}
			at := t.now + (after + time.Duration(moved)*gap).Milliseconds()
			t.set(q.b, e, e.begins(at, true), nil)
			moved++
		}
		return nil
	})
	if err != nil && !errors.Is(err, inbox.ErrFull) {
		return 0, err // the disk has none of them, or that is not known
	}
	return moved, err
}

// Delete implements inbox.Queue.
func (q *queue) Delete(ctx context.Context, keys []inbox.Key) (deleted int, err error) {
	if err := inbox.CheckKeys(keys); err != nil {
		return 0, err
	}
	keys = append([]inbox.Key(nil), keys...)
	err = q.s.writer.do(ctx, 0, func(t *turn) error {
		for _, k := range keys {
			e, err := t.load(q.b, k)
			if err != nil {
				return err
			}
			if e != nil {
				t.set(q.b, e, nil, nil)
				deleted++
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}

// Pause implements inbox.Queue.
func (q *queue) Pause(ctx context.Context, paused bool) error {
	return q.s.writer.do(ctx, 0, func(t *turn) error {
		t.pause(q.b, paused)
		return nil
	})
}

// Hold implements inbox.Queue. A hold ends with the process.
func (q *queue) Hold(ctx context.Context, d time.Duration) error {
	return q.s.writer.do(ctx, 0, func(t *turn) error {
		t.holdBox(q.b, d > 0, t.now+d.Milliseconds())
		return nil
	})
}
