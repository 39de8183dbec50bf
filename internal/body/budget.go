package body

import (
	"errors"
	"runtime"
	"sync"
	"time"
)

var (
	errOverBudget = errors.New("max_buffered is used up by other requests' bodies")
	errEvicted    = errors.New("the body came too slowly while other requests needed its memory")
)

const (
	// smallBody is how much of any body may use the reserve, the last eighth of
	// what unverified bodies may take. Nearly all events are smaller, so that
	// uploads of many megabytes, stalled or not, never stand in their way.
	smallBody = 64 << 10

	// stalledAfter is how long a body may be without progress before it has to
	// make room for others.
	stalledAfter = 250 * time.Millisecond

	// roomWait is how long one body may wait for room, all in all. No sender that
	// waits for less than ten seconds sends bodies that have to.
	roomWait = 2 * time.Second
)

// Budget bounds the memory that all bodies hold at once, over every guard of a
// process. What is not verified may take half of it, so that a flood of
// forgeries cannot keep genuine events out.
//
// A body that finds no room waits for a moment, first come, first served, but
// small ones before large ones. Meanwhile the bodies that stand still, those
// without progress for the longest first, are given up: however many senders
// stall, they hold memory only as long as nobody else needs it. What is verified
// is never given up.
//
// What bodies leave behind counts as well, until other bodies use it. The garbage
// collector would let it grow to as much as is in use, so the budget has it run earlier.
type Budget struct {
	patience time.Duration // how long one body may wait; 0 is roomWait

	mu         sync.Mutex
	limit      int64
	held       int64 // everything
	unverified int64 // part of held
	leaving    int64 // part of unverified, of uploads that were asked to end

	uploads uploads
	waiters
	look *time.Timer

	garbage    int64 // bytes of buffers freed since the last collection, and not used again
	due        int64 // part of garbage, that the collection under way frees
	collecting bool
}

// NewBudget makes a budget of so many bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// SetLimit changes the bound; bodies already held stay.
func (b *Budget) SetLimit(limit int64) {
	b.update(func() { b.limit = limit })
}

// Bytes is how much all bodies hold.
func (b *Budget) Bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// update makes a change that may leave room for waiting uploads.
func (b *Budget) update(change func()) {
	b.mu.Lock()
	change()
	if b.first() == nil {
		b.mu.Unlock()
		return
	}
	stalled := b.serveLocked(time.Now())
	b.mu.Unlock()
	for _, u := range stalled {
		u.interrupt()
	}
}

// serveLocked gives those who wait what there is, and takes it from uploads that
// stand still where there is too little. It returns those; they are to be
// interrupted once the lock is free.
func (b *Budget) serveLocked(now time.Time) (stalled []*upload) {
	for w := b.first(); w != nil && b.mayTake(w.upload, w.n); w = b.first() {
		b.grantLocked(w.upload, w.n, now)
		w.settleLocked(nil)
	}
	w := b.first()
	if w == nil {
		return nil
	}
	next := now.Add(stalledAfter)
	for b.canFit(w) && !b.fits(w.upload, w.n, b.leaving) {
		if e := b.uploads.Front(); e != nil {
			u := e.Value.(*upload)
			if due := u.mark.Add(stalledAfter); now.Before(due) {
				next = due
				break
			}
			b.evictLocked(u)
			stalled = append(stalled, u)
			continue
		}
		// Everybody holds something and waits for more. The one that came last
		// gives way.
		last := b.last()
		if last == w || last.upload.held == 0 || now.Before(w.since.Add(stalledAfter)) {
			break
		}
		b.evictLocked(last.upload)
		last.settleLocked(errOverBudget)
	}
	b.lookAgainLocked(next.Sub(now))
	return stalled
}

// discard records that a buffer of n bytes has been freed.
func (b *Budget) discard(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.garbage += n
	if b.garbage >= b.limit/8 && !b.collecting {
		b.collecting, b.due = true, b.garbage
		go b.collect()
	}
}

// reuse records that a freed buffer of n bytes is in use again. It may have
// been freed before the last collection, so that nothing is left of what it counted.
func (b *Budget) reuse(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.garbage = max(0, b.garbage-n)
	b.due = max(0, b.due-n)
}

// collect frees what was garbage when it was due: a sync.Pool keeps what it has for one
// collection more.
func (b *Budget) collect() {
	runtime.GC()
	runtime.GC()
	b.update(func() {
		b.garbage -= b.due
		b.collecting, b.due = false, 0
	})
}

// lookAgainLocked schedules a check for when the next upload counts as stalled.
func (b *Budget) lookAgainLocked(after time.Duration) {
	if b.look == nil {
		b.look = time.AfterFunc(after, func() { b.update(func() {}) })
		return
	}
	b.look.Reset(after)
}

// share is what unverified bodies may hold together when one of this size
// grows.
func (b *Budget) share(size int64) int64 {
	share := b.limit / 2
	if size > smallBody {
		share -= share / 8
	}
	return share
}

// fits reports whether an upload can have n more bytes once those that leave are
// back.
func (b *Budget) fits(u *upload, n, leaving int64) bool {
	return b.held-leaving+n <= b.limit && b.unverified-leaving+n <= b.share(u.bytes(n))
}

// mayTake reports whether an upload can have n more bytes now: they fit, and what
// large ones have left behind is not too much until it is collected.
func (b *Budget) mayTake(u *upload, n int64) bool {
	littered := b.collecting && b.garbage >= b.limit/4
	return b.fits(u, n, 0) && (!littered || u.bytes(n) <= smallBody)
}

// canFit reports whether a waiter would fit if nothing else were unverified.
func (b *Budget) canFit(w *waiter) bool {
	return b.held-b.unverified+w.upload.held+w.n <= b.limit
}

func (b *Budget) grantLocked(u *upload, n int64, now time.Time) {
	b.held += n
	b.unverified += n
	u.held += n
	b.uploads.mark(u, now)
}

func (b *Budget) evictLocked(u *upload) {
	u.evicted = true
	b.leaving += u.held
	b.uploads.unlist(u)
}
