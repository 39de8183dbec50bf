package redis

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Put implements [inbox.Queue].
func (q *queue) Put(ctx context.Context, ev inbox.Event) (inbox.Answer, error) {
	if err := inbox.CheckEvent(ev); err != nil {
		return 0, err
	}
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return 0, err
	}
	defer cancel()
	if err := q.names.renew(ctx); err != nil {
		return 0, err
	}
	return q.accept(ctx, ev)
}

// Revive implements [inbox.Queue].
func (q *queue) Revive(ctx context.Context, k inbox.Key) (inbox.Answer, error) {
	if err := inbox.CheckKey(k); err != nil {
		return 0, err
	}
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return 0, err
	}
	defer cancel()
	return q.accept(ctx, inbox.Event{Key: k})
}

func (l *lanes) accept(ctx context.Context, ev inbox.Event) (inbox.Answer, error) {
	events, bytes := l.limits()
	args := []any{ev.Key.String(), ev.Envelope, events, bytes, ev.Scope, ev.ID, ev.Type}
	if l.o.Durable {
		n, err := l.durably(ctx, acceptScript, l.lane(ev.Key), args...)
		return inbox.Answer(n), err
	}
	run := l.s.run
	if len(ev.Envelope) >= largeCall {
		run = l.s.runAlone
	}
	n, err := run(ctx, acceptScript, l.lane(ev.Key), args...).Int()
	return inbox.Answer(n), err
}

// mostTaken bounds one call of the script, whose reply is a Lua table.
const mostTaken = 500

// probeMoment is how long a caller may take to find the event for a probe in the lanes.
const probeMoment = 5 * time.Second

// Take implements [inbox.Queue].
func (q *queue) Take(ctx context.Context, n int, lease time.Duration) (inbox.Batch, error) {
	if err := inbox.CheckLease(lease); err != nil {
		return inbox.Batch{}, err
	}
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return inbox.Batch{}, err
	}
	defer cancel()
	b := inbox.Batch{Token: inbox.NewToken()}
	n = min(n, mostTaken)
	if len(q.due) == 1 {
		err = q.takeFrom(ctx, &b, 0, n, lease, true)
	} else {
		err = q.takeFromLanes(ctx, &b, n, lease)
	}
	if err != nil {
		return inbox.Batch{}, err
	}
	return b, nil
}

// takeFrom takes from one lane into the batch.
func (l *lanes) takeFrom(ctx context.Context, b *inbox.Batch, lane, n int, lease time.Duration, gated bool) error {
	reply, err := l.s.run(ctx, takeScript, l.due[lane], n, millis(lease), b.Token[:], millis(l.o.Keep), millis(l.o.KeepDead), flag(gated)).Slice()
	if err != nil {
		return err
	}
	r := reader{reply}
	b.Now, b.Wait = r.time(), r.wait()
	b.Probe = r.number() == 1
	for r.more() {
		event := r.list()
		info := event.list().entry(b.Now).Info
		b.Deliveries = append(b.Deliveries, inbox.Delivery{Info: info, Envelope: []byte(event.text())})
	}
	return nil
}

// takeFromLanes takes from several lanes, beginning with any of them. Whether the inbox is
// paused or held is known to the first lane.
func (l *lanes) takeFromLanes(ctx context.Context, b *inbox.Batch, n int, lease time.Duration) error {
	reply, err := l.s.run(ctx, gateScript, l.due[0], millis(probeMoment)).Slice()
	if err != nil {
		return err
	}
	r := reader{reply}
	b.Now, b.Wait = r.time(), r.wait()
	probe := r.number() == 1
	if b.Wait != 0 {
		n = 0 // old events are removed all the same
	} else if probe {
		n = min(n, 1)
	}
	closed, wait := b.Wait != 0, time.Duration(-1)
	first := rand.IntN(len(l.due))
	for i := range l.due {
		one := inbox.Batch{Token: b.Token}
		if err := l.takeFrom(ctx, &one, (first+i)%len(l.due), n-len(b.Deliveries), lease, false); err != nil {
			if len(b.Deliveries) > 0 {
				break // what was taken is to be delivered; the other lanes are asked next time
			}
			return err
		}
		b.Deliveries, b.Now = append(b.Deliveries, one.Deliveries...), one.Now
		if one.Wait >= 0 && (wait < 0 || one.Wait < wait) {
			wait = one.Wait
		}
	}
	switch {
	case closed:
		return nil
	case probe && len(b.Deliveries) == 1:
		b.Probe, wait = true, lease
		err = l.control(ctx, "until", millis(lease))
	case probe:
		err = l.control(ctx, "until", 1) // nothing was there to probe with
	}
	b.Wait = wait
	if len(b.Deliveries) > 0 {
		return nil // a hold that is too short is no loss of events
	}
	return err
}

// Extend implements [inbox.Queue].
func (q *queue) Extend(ctx context.Context, k inbox.Key, t inbox.Token, lease time.Duration) error {
	if err := inbox.CheckLease(lease); err != nil {
		return err
	}
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return held(q.s.run(ctx, extendScript, q.lane(k), k.String(), t[:], millis(lease)).Int())
}

// Settle implements [inbox.Queue].
func (q *queue) Settle(ctx context.Context, k inbox.Key, t inbox.Token, s inbox.Settlement) error {
	s, err := inbox.CheckSettlement(s)
	if err != nil {
		return err
	}
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return held(q.s.run(ctx, settleScript, q.lane(k), k.String(), t[:], int(s.Outcome), millis(s.Delay), s.Reason,
		s.Attempt.Status, encodeAttempt(s.Attempt), inbox.MaxAttempts, flag(q.o.KeepBodies)).Int())
}

// held reads the reply of a script that only the token's holder may run.
func held(n int, err error) error {
	if err == nil && n == 0 {
		return inbox.ErrLost
	}
	return err
}
