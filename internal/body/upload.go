package body

import (
	"cmp"
	"container/list"
	"sync"
	"time"
)

// leastStep is the least that counts as progress of an upload: a sender that
// trickles must not look alive. Of a large one it takes a sixteenth of what it
// holds.
const leastStep = 16 << 10

// upload is one body as the budget knows it: on its way in, and then for as long as it
// is held. Its bytes are counted here and nowhere else.
type upload struct {
	budget *Budget
	conn   deadliner     // nil where nothing can end the read under way
	until  time.Time     // the end of body_timeout
	late   *time.Timer   // ends the read then; nil without conn
	waited time.Duration // for room, so far
	marked int64         // how much had arrived at the last progress

	// Guarded by the budget's lock.
	held     int64
	weight   int64         // how many times the bytes that have arrived are counted
	mark     time.Time     // of the last progress
	place    *list.Element // among the budget's uploads; nil while it waits for room
	evicted  bool
	verified bool

	mu          sync.Mutex
	over        bool
	interrupted bool
}

// begin registers an upload, which is interrupted at a time. A timer that never fires
// costs a fraction of a deadline that is set and lifted on the connection.
func (b *Budget) begin(conn deadliner, until time.Time) *upload {
	u := &upload{budget: b, conn: conn, until: until, weight: 1}
	if conn != nil {
		u.late = time.AfterFunc(time.Until(until), u.interrupt)
	}
	return u
}

// take reserves n more bytes. It waits for them where others can make room.
func (u *upload) take(n int64) error {
	b := u.budget
	now := time.Now()
	b.mu.Lock()
	switch {
	case u.evicted:
		b.mu.Unlock()
		return errEvicted
	case u.held+n > b.share(u.bytes(n)): // not even alone
		b.mu.Unlock()
		return errOverBudget
	case b.first() == nil && b.mayTake(u, n):
		b.grantLocked(u, n, now)
		b.mu.Unlock()
		return nil
	}
	w := u.queueLocked(n, now)
	stalled := b.serveLocked(now)
	b.mu.Unlock()
	for _, other := range stalled {
		other.interrupt()
	}
	return u.await(w, now)
}

// queueLocked puts the upload at the end of its queue. While it waits, it is not
// the sender's fault that nothing more arrives.
func (u *upload) queueLocked(n int64, now time.Time) *waiter {
	b := u.budget
	b.uploads.unlist(u)
	w := &waiter{upload: u, n: n, since: now, queue: &b.large, done: make(chan error, 1)}
	if u.bytes(n) <= smallBody {
		w.queue = &b.small
	}
	w.place = w.queue.PushBack(w)
	return w
}

func (u *upload) await(w *waiter, now time.Time) error {
	select {
	case err := <-w.done:
		return err
	default:
	}
	limit := cmp.Or(u.budget.patience, roomWait) - u.waited
	if left := u.until.Sub(now); left < limit {
		limit = left
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	defer func() { u.waited += time.Since(now) }()
	select {
	case err := <-w.done:
		return err
	case <-timer.C:
	}
	u.budget.update(func() {
		if w.place != nil {
			w.settleLocked(errOverBudget)
		}
	})
	return <-w.done
}

// progress records how much has arrived.
func (u *upload) progress(arrived int64) {
	if arrived-u.marked < max(leastStep, arrived/16) {
		return
	}
	u.marked = arrived
	u.budget.mu.Lock()
	defer u.budget.mu.Unlock()
	u.budget.uploads.mark(u, time.Now())
}

// interrupt makes the read in progress fail, unless the upload has ended.
func (u *upload) interrupt() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.over {
		u.interrupted = true
		_ = u.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// end is called when nothing more is read. From then on nothing interrupts it.
// With failed, what it holds goes back.
func (u *upload) end(failed bool) (evicted bool) {
	if u.late != nil {
		u.late.Stop()
	}
	u.mu.Lock()
	u.over = true
	u.mu.Unlock()
	b := u.budget
	b.update(func() {
		evicted = u.evicted
		b.uploads.unlist(u)
		if evicted {
			b.leaving -= u.held
		}
		if failed {
			u.giveLocked()
		}
	})
	return evicted
}

// bytes is how many the upload holds together with n more that are counted.
func (u *upload) bytes(n int64) int64 { return (u.held + n) / u.weight }

// verify moves what the upload holds over to what is verified. It counts once from then on.
func (u *upload) verify() {
	u.budget.update(func() {
		if !u.verified {
			u.verified = true
			u.budget.unverified -= u.held
			u.budget.held -= u.held - u.bytes(0)
			u.held, u.weight = u.bytes(0), 1
		}
	})
}

// give returns the upload's bytes to the budget.
func (u *upload) give() { u.budget.update(u.giveLocked) }

func (u *upload) giveLocked() {
	u.budget.held -= u.held
	if !u.verified {
		u.budget.unverified -= u.held
	}
	u.held = 0
}
