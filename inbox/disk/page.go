package disk

import (
	"context"
	"math"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// pageOrder is the order of the lists in a walk.
var pageOrder = []inbox.State{inbox.Leased, inbox.Delayed, inbox.Ready, inbox.Dead, inbox.Done}

// top is above every event of a list.
func top(list int) inbox.Cursor {
	c := inbox.Cursor{List: list, At: math.MaxInt64}
	for i := range c.Key {
		c.Key[i] = 0xff
	}
	return c
}

// Page implements inbox.Queue.
func (q *queue) Page(ctx context.Context, f inbox.Filter, cursor string, limit int) (p inbox.Page, err error) {
	from := top(0)
	if cursor != "" {
		if from, err = inbox.ReadCursor(cursor, len(pageOrder)); err != nil {
			return p, err
		}
	}
	err = q.s.view(ctx, func(tx *bolt.Tx, now int64) (err error) {
		if f.ID != "" {
			if cursor == "" {
				from = inbox.Cursor{}
			}
			p, err = pageOfID(tx, q.b, f, from.Key, max(1, limit), now)
			return err
		}
		q.b.promote(now)
		p, err = page(tx, q.b, f, from, max(1, limit), now)
		return err
	})
	return p, err
}

func page(tx *bolt.Tx, b *box, f inbox.Filter, from inbox.Cursor, limit int, now int64) (p inbox.Page, err error) {
	budget := inbox.MostLooked * limit
	for ; from.List < len(pageOrder); from = top(from.List + 1) {
		list := pageOrder[from.List]
		if f.State != inbox.Any && f.State != list {
			continue
		}
		walk, accepted := descend, byAccepted(list, f)
		if accepted {
			walk = func(tx *bolt.Tx, b *box, list inbox.State, from inbox.Cursor, each func(*entry, *meta) (bool, error)) error {
				return descendAccepted(tx, b, list, f, from, each)
			}
		} else if f.Reason != "" {
			continue // only dead events have one
		}
		err := walk(tx, b, list, from, func(e *entry, m *meta) (bool, error) {
			if len(p.Events) == limit || budget == 0 {
				p.Next = from.String()
				return false, nil
			}
			budget--
			p.Looked++
			if m == nil {
				texts, err := metaOf(tx, b, e)
				if err != nil {
					return false, err
				}
				m = &texts
			}
			if info := e.info(*m, now); f.Match(info) {
				p.Events = append(p.Events, info)
			}
			if from.At, from.Key = e.at, e.key; accepted {
				from.At = e.accepted
			}
			return true, nil
		})
		if err != nil || p.Next != "" {
			return p, err
		}
	}
	return p, nil
}

// descend calls each with the events of a list below a place, newest first, until it returns
// false: those in memory, and between them those that only the database has, with their texts.
func descend(tx *bolt.Tx, b *box, list inbox.State, from inbox.Cursor, each func(*entry, *meta) (bool, error)) (err error) {
	stored := storedBelow(tx, b, list, from)
	e, m, err := stored()
	if err != nil {
		return err
	}
	more := true
	b.lists[list].DescendLessOrEqual(&entry{at: from.At, key: from.Key}, func(held *entry) bool {
		if held.at == from.At && held.key == from.Key {
			return true
		}
		for e != nil && before(held, e) {
			if more, err = each(e, m); err != nil || !more {
				return false
			}
			if e, m, err = stored(); err != nil {
				return false
			}
		}
		more, err = each(held, nil)
		return err == nil && more
	})
	for err == nil && more && e != nil {
		if more, err = each(e, m); err == nil && more {
			e, m, err = stored()
		}
	}
	return err
}

// storedBelow returns what returns the events of a list below a place that only the database
// has, newest first; nil at the end.
func storedBelow(tx *bolt.Tx, b *box, list inbox.State, from inbox.Cursor) func() (*entry, *meta, error) {
	r := recordsOf(tx, b.name)
	kind := settledKind(list)
	if kind == removed || r.order == nil {
		return func() (*entry, *meta, error) { return nil, nil, nil }
	}
	c := r.order.Cursor()
	k := seekBelow(c, orderKey(&entry{kind: kind, at: from.At, key: from.Key}))
	return func() (*entry, *meta, error) {
		for ; k != nil && k[0] == byte(kind); k, _ = c.Prev() {
			key := inbox.Key(k[9:])
			if b.entries[key] != nil {
				continue // it stands otherwise by now
			}
			e, m, err := r.get(key)
			if err != nil || e == nil {
				return nil, nil, err
			}
			k, _ = c.Prev()
			return e, m, nil
		}
		return nil, nil, nil
	}
}

// oldest returns up to n events of a kind that were settled by a time, and when the next one
// was.
func oldest(tx *bolt.Tx, b *box, which kind, until int64, n int) (some []*entry, next int64, err error) {
	list := map[kind]inbox.State{dead: inbox.Dead, done: inbox.Done}[which]
	b.lists[list].Ascend(func(e *entry) bool {
		some = append(some, e)
		return len(some) <= n
	})
	if r := recordsOf(tx, b.name); r.order != nil {
		c := r.order.Cursor()
		stored := 0
		for k, _ := c.Seek([]byte{byte(which)}); k != nil && k[0] == byte(which) && stored <= n; k, _ = c.Next() {
			key := inbox.Key(k[9:])
			if b.entries[key] != nil {
				continue
			}
			e, _, err := r.get(key)
			if err != nil {
				return nil, 0, err
			}
			if e != nil {
				some, stored = append(some, e), stored+1
			}
		}
	}
	slices.SortFunc(some, func(a, b *entry) int {
		if before(a, b) {
			return -1
		}
		return 1
	})
	for i, e := range some {
		if i == n || e.at > until {
			return some[:i], e.at, nil
		}
	}
	return some, math.MaxInt64, nil
}

// Get implements inbox.Queue.
func (q *queue) Get(ctx context.Context, k inbox.Key) (inbox.Record, error) {
	r, err := get(ctx, q, k)
	if err == nil && r.Envelope == nil && r.Size > 0 {
		// It may be on its way to the disk: a new one, or a copy.
		_ = q.s.writer.do(ctx, 0, func(*turn) error { return nil })
		return get(ctx, q, k)
	}
	return r, err
}

func get(ctx context.Context, q *queue, k inbox.Key) (r inbox.Record, err error) {
	var tk taking
	err = q.s.view(ctx, func(tx *bolt.Tx, now int64) error {
		e, err := current(tx, q.b, k)
		if err != nil {
			return err
		}
		if e == nil {
			return inbox.ErrUnknown
		}
		m, err := metaOf(tx, q.b, e)
		if err != nil {
			return err
		}
		r.Info, r.Attempts = e.info(m, now), attemptsOf(tx, q.b, e)
		tk = taking{entry: e, from: q.s.segs.hold(e.body)}
		return nil
	})
	if err != nil {
		return inbox.Record{}, err
	}
	r.Envelope = q.s.segs.read(tk.from, tk.entry.body, k)
	q.s.letGo([]taking{tk})
	return r, nil
}

// current returns an event as it stands; nil where it is not kept.
func current(tx *bolt.Tx, b *box, k inbox.Key) (*entry, error) {
	if e := b.entries[k]; e != nil {
		if e.kind == removed {
			return nil, nil
		}
		return e, nil
	}
	e, _, err := recordsOf(tx, b.name).get(k)
	return e, err
}

// attemptsOf returns the attempts of an event: those in the database, those on their way into
// it, unless they are there already, and the last ones.
func attemptsOf(tx *bolt.Tx, b *box, e *entry) (all []inbox.Attempt) {
	if e.meta == nil {
		f := b.flushing[e.key]
		there := decodePosition(tx.Bucket(bucketAbout).Get(keyMoved)).number >= b.flushedTo
		if f == nil || f.meta == nil || there {
			all = recordsOf(tx, b.name).attemptsOf(e.key)
		}
		if f != nil && !there {
			all = append(all, f.tail...)
		}
	}
	all = append(all, e.tail...)
	return all[max(0, len(all)-inbox.MaxAttempts):]
}

// Status implements inbox.Queue.
func (q *queue) Status(ctx context.Context) (s inbox.Status, err error) {
	err = q.s.view(ctx, func(_ *bolt.Tx, now int64) error {
		s = q.b.status(now)
		return nil
	})
	return s, err
}
