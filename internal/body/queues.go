package body

import (
	"container/list"
	"time"
)

// uploads are those that can be ended, the longest without progress first. The budget's
// lock guards them.
type uploads struct{ list.List }

// mark records that an upload is alive.
func (l *uploads) mark(u *upload, now time.Time) {
	u.mark = now
	switch {
	case u.conn == nil || u.evicted:
	case u.place == nil:
		u.place = l.PushBack(u)
	default:
		l.MoveToBack(u.place)
	}
}

// unlist takes an upload out of those that can be ended.
func (l *uploads) unlist(u *upload) {
	if u.place != nil {
		l.Remove(u.place)
		u.place = nil
	}
}

// waiter is an upload that waits for n bytes.
type waiter struct {
	upload *upload
	n      int64
	since  time.Time
	place  *list.Element
	queue  *list.List
	done   chan error
}

// waiters are the uploads that wait for room, small ones before large ones. The budget's
// lock guards them.
type waiters struct {
	small, large list.List // of *waiter
}

// first is the one to be served next.
func (q *waiters) first() *waiter {
	for _, queue := range []*list.List{&q.small, &q.large} {
		if e := queue.Front(); e != nil {
			return e.Value.(*waiter)
		}
	}
	return nil
}

// last is the one to be served after all others.
func (q *waiters) last() *waiter {
	for _, queue := range []*list.List{&q.large, &q.small} {
		if e := queue.Back(); e != nil {
			return e.Value.(*waiter)
		}
	}
	return nil
}

// settleLocked ends a wait.
func (w *waiter) settleLocked(err error) {
	w.queue.Remove(w.place)
	w.place = nil
	w.done <- err
}
