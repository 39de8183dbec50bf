package disk

import (
	"context"
	"slices"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// removeAtOnce is how many events of each kind a Take removes because their time is over.
const removeAtOnce = 100

// taking is an event that Take has leased, and whose envelope is yet to be read.
type taking struct {
	entry *entry
	info  inbox.Info
	from  *segment
}

// Take implements inbox.Queue. Envelopes are read by the caller, so that nobody waits for
// that, and an event whose envelope cannot be read is given up in a second step.
func (q *queue) Take(ctx context.Context, n int, lease time.Duration) (batch inbox.Batch, err error) {
	if err := inbox.CheckLease(lease); err != nil {
		return inbox.Batch{}, err
	}
	for {
		batch, damaged, err := q.take(ctx, n, lease)
		if err != nil {
			return inbox.Batch{}, err
		}
		if len(damaged) == 0 {
			return batch, nil
		}
		if err := giveUp(ctx, q, damaged, batch.Token); err != nil {
			return inbox.Batch{}, err
		}
		batch.Probe = batch.Probe && len(batch.Deliveries) > 0
		if batch.Wait = 0; len(batch.Deliveries) > 0 {
			return batch, nil
		}
	}
}

func (q *queue) take(ctx context.Context, n int, lease time.Duration) (batch inbox.Batch, damaged []inbox.Key, err error) {
	batch.Token = inbox.NewToken()
	var taken []taking
	var now int64
	st := &step{done: make(chan struct{}, 1), release: func() { letGo(taken) }}
	st.do = func(t *turn) (err error) {
		now, batch.Probe = t.now, q.b.held
		taken, batch.Wait, err = q.lease(t, n, batch.Token, lease)
		batch.Probe = batch.Probe && len(taken) > 0
		return err
	}
	if err := q.s.writer.await(ctx, st); err != nil {
		// Where the caller did not wait for the end, it must not touch what the step still
		// may. What was leased then is ready again when its lease ends.
		return inbox.Batch{}, nil, err
	}
	batch.Now = time.UnixMilli(now)
	for _, tk := range taken {
		envelope := q.s.segs.read(tk.from, tk.entry.body, tk.entry.key)
		if envelope == nil {
			damaged = append(damaged, tk.entry.key)
			continue
		}
		batch.Deliveries = append(batch.Deliveries, inbox.Delivery{Info: tk.info, Envelope: envelope})
	}
	q.s.letGo(taken)
	return batch, damaged, nil
}

// lease is the step of Take.
func (q *queue) lease(t *turn, n int, tok inbox.Token, lease time.Duration) (taken []taking, wait time.Duration, err error) {
	b := q.b
	if err := t.removeOld(b, q.o); err != nil {
		return nil, 0, err
	}
	b.promote(t.now)
	switch {
	case b.paused:
		return nil, -1, nil
	case b.held && t.now < b.until:
		return nil, time.Duration(b.until-t.now) * time.Millisecond, nil
	case b.held:
		n = min(n, 1)
	}
	first := firstOf(b, n)
	texts := make([]meta, len(first))
	for i, e := range first {
		if texts[i], err = t.metaOf(b, e); err != nil {
			return nil, 0, err
		}
	}
	for i, e := range first {
		next := *e
		next.at, next.token, next.attempts = t.now+lease.Milliseconds(), tok, e.attempts+1
		t.set(b, e, &next, nil)
		taken = append(taken, taking{&next, next.info(texts[i], t.now), t.s.segs.hold(next.body)})
	}
	if len(taken) > 0 {
		t.undo = append(t.undo, func() { letGo(taken) })
	}
	if b.held && len(taken) > 0 {
		t.holdBox(b, true, t.now+lease.Milliseconds())
		return taken, lease, nil
	}
	wait = -1
	if at, ok := b.nextDue(); ok {
		wait = time.Duration(max(0, at-t.now)) * time.Millisecond
	}
	return taken, wait, nil
}

// firstOf returns those that have been ready longest.
func firstOf(b *box, n int) (first []*entry) {
	if n <= 0 {
		return nil
	}
	b.lists[inbox.Ready].Ascend(func(e *entry) bool {
		first = append(first, e)
		return len(first) < n
	})
	return slices.Clip(first)
}

// giveUp ends the events of a batch whose envelopes cannot be read.
func giveUp(ctx context.Context, q *queue, keys []inbox.Key, tok inbox.Token) error {
	return q.s.writer.do(ctx, 0, func(t *turn) error {
		for _, k := range keys {
			if e := q.b.entries[k]; e != nil && e.kind == waiting && e.token == tok {
				n := e.ends(dead, t.now)
				n.reason = inbox.Damaged
				t.set(q.b, e, n, nil)
			}
		}
		return nil
	})
}

func letGo(taken []taking) {
	for _, tk := range taken {
		if tk.from != nil {
			tk.from.refs--
		}
	}
}
