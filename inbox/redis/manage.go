package redis

import (
	"context"
	"encoding/base64"
	"encoding/binary"
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

// lists are those that a walk goes through, one after the other.
var lists = []string{"lent", "due", "dead", "recent"}

// holds reports whether a list may have events in the given state.
func holds(list string, s inbox.State) bool {
	switch s {
	case inbox.Ready:
		return list == "lent" || list == "due"
	case inbox.Delayed:
		return list == "due"
	case inbox.Leased:
		return list == "lent"
	case inbox.Dead:
		return list == "dead"
	case inbox.Done:
		return list == "recent"
	}
	return true
}

// mostLooked is how many events a page looks at, as a multiple of its limit.
const mostLooked = 10

// Page implements [inbox.Queue]. It walks through each list, lane by lane.
func (q *queue) Page(ctx context.Context, f inbox.Filter, text string, limit int) (p inbox.Page, err error) {
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return p, err
	}
	defer cancel()
	c, err := q.readCursor(text)
	if err != nil {
		return p, err
	}
	for looked := 0; c.place < len(lists)*len(q.due); {
		list := lists[c.place/len(q.due)]
		if !holds(list, f.State) {
			c = cursor{place: c.place + 1}
			continue
		}
		if len(p.Events) >= limit || looked >= mostLooked*limit {
			p.Next = c.String()
			return p, nil
		}
		most := limit
		looked += most
		key := ""
		if c.key != (inbox.Key{}) {
			key = c.key.String()
		}
		reply, err := q.s.run(ctx, pageScript, q.due[c.place%len(q.due)], list, c.at, key, most).Slice()
		if err != nil {
			return p, err
		}
		r := reader{reply}
		now, more := r.time(), r.number() == 1
		for r.more() {
			e := r.list().entry(now)
			c.at, c.key = e.at, e.Key
			if (list != "due" || !e.lent) && f.Match(e.Info) {
				p.Events = append(p.Events, e.Info)
			}
			if len(p.Events) == limit {
				more = true
				break
			}
		}
		if !more {
			c = cursor{place: c.place + 1}
		}
	}
	return p, nil
}

// cursor is where a walk goes on: in which list and lane, and behind which event there.
type cursor struct {
	place int // list × lanes + lane
	at    int64
	key   inbox.Key
}

func (c cursor) String() string {
	b := binary.BigEndian.AppendUint64([]byte{byte(c.place)}, uint64(c.at))
	return base64.RawURLEncoding.EncodeToString(append(b, c.key[:]...))
}

func (l *lanes) readCursor(text string) (c cursor, err error) {
	if text == "" {
		return c, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != 1+8+len(c.key) || int(b[0]) >= len(lists)*len(l.due) {
		return c, inbox.ErrCursor
	}
	return cursor{place: int(b[0]), at: int64(binary.BigEndian.Uint64(b[1:])), key: inbox.Key(b[9:])}, nil
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
	s := inbox.Status{Reasons: make(map[string]int64)}
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return s, err
	}
	defer cancel()
	for _, due := range q.due {
		reply, err := q.s.run(ctx, statusScript, due).Slice()
		if err != nil {
			return s, err
		}
		r := reader{reply}
		s.Now = r.time()
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
