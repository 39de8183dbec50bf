package redis

import (
	"context"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// byLane returns the keys of each lane, in their order.
func (l *lanes) byLane(keys []inbox.Key) [][]any {
	lanes := make([][]any, len(l.due))
	for _, k := range keys {
		lane := l.of(k)
		lanes[lane] = append(lanes[lane], k.String())
	}
	return lanes
}

// Replay implements [inbox.Queue].
func (q *queue) Replay(ctx context.Context, keys []inbox.Key, after, gap time.Duration) (moved int, err error) {
	if err := inbox.CheckKeys(keys); err != nil {
		return 0, err
	}
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return 0, err
	}
	defer cancel()
	events, bytes := q.limits()
	for lane, some := range q.byLane(keys) {
		if len(some) == 0 {
			continue
		}
		begin := after + time.Duration(moved)*gap
		reply, err := q.s.run(ctx, replayScript, q.due[lane], append([]any{begin.Microseconds(), gap.Microseconds(), events, bytes}, some...)...).Int64Slice()
		if err != nil {
			return moved, err
		}
		moved += int(reply[0])
		if reply[1] == 1 {
			return moved, inbox.ErrFull
		}
	}
	return moved, nil
}

// Delete implements [inbox.Queue].
func (q *queue) Delete(ctx context.Context, keys []inbox.Key) (deleted int, err error) {
	if err := inbox.CheckKeys(keys); err != nil {
		return 0, err
	}
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return 0, err
	}
	defer cancel()
	for lane, some := range q.byLane(keys) {
		if len(some) == 0 {
			continue
		}
		n, err := q.s.run(ctx, deleteScript, q.due[lane], some...).Int()
		if err != nil {
			return deleted, err
		}
		deleted += n
	}
	return deleted, nil
}

// Pause implements [inbox.Queue].
func (q *queue) Pause(ctx context.Context, paused bool) error {
	value := int64(0)
	if paused {
		value = 1
	}
	return q.set(ctx, "paused", value)
}

// Hold implements [inbox.Queue].
func (q *queue) Hold(ctx context.Context, d time.Duration) error {
	return q.set(ctx, "until", millis(d))
}

func (q *queue) set(ctx context.Context, what string, value int64) error {
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return q.control(ctx, what, value)
}

// control sets what the first lane knows for all of them.
func (l *lanes) control(ctx context.Context, what string, value int64) error {
	return l.s.run(ctx, controlScript, l.due[0], what, value).Err()
}

// Get implements [inbox.Queue].
func (q *queue) Get(ctx context.Context, k inbox.Key) (record inbox.Record, err error) {
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return record, err
	}
	defer cancel()
	reply, err := q.s.run(ctx, getScript, q.lane(k), k.String()).Slice()
	if err != nil {
		return record, err
	}
	r := reader{reply}
	now := r.time()
	if !r.more() {
		return record, inbox.ErrUnknown
	}
	record.Info = r.list().entry(now).Info
	record.Attempts = decodeAttempts(r.text())
	if envelope := r.text(); envelope != "" {
		record.Envelope = []byte(envelope)
	}
	return record, nil
}

// Status implements [inbox.Queue].
func (q *queue) Status(ctx context.Context) (inbox.Status, error) {
	s := inbox.Status{Reasons: make(map[string]int64), Finished: make([]int64, inbox.RateMinutes)}
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return s, err
	}
	defer cancel()
	for _, due := range q.due {
		reply, err := q.s.run(ctx, statusScript, due, inbox.RateMinutes).Slice()
		if err != nil {
			return s, err
		}
		r := reader{reply}
		s.Now = r.time()
		finished := r.list()
		for i := range s.Finished {
			s.Finished[i] += finished.number()
		}
		for _, sum := range []*int64{&s.Ready, &s.Delayed, &s.Leased, &s.Dead, &s.Done, &s.Bytes} {
			*sum += r.number()
		}
		if oldest := r.time(); !oldest.IsZero() && (s.OldestReady.IsZero() || oldest.Before(s.OldestReady)) {
			s.OldestReady = oldest
		}
		s.Paused = r.number() == 1 || s.Paused
		s.Held = r.number() == 1 || s.Held
		for r.more() {
			reason := r.text()
			s.Reasons[reason] += r.number()
		}
	}
	return s, nil
}
