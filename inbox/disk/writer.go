package disk

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

const (
	// segmentSize is how large a segment grows. The batch that reaches it goes in whole.
	segmentSize = 64 << 20
	// ahead is how much of a segment is written with zeros at a time. The batch that does so
	// takes some milliseconds more, which comes once in a thousand events.
	ahead = 1 << 20
	// waitBudget is how long a caller waits for the disk. A sync that hangs for longer counts
	// as a failure, like one that is refused.
	waitBudget = 10 * time.Second
	// maxPause is the longest that the writer waits for a checkpoint between two batches.
	maxPause = 50 * time.Millisecond
	// maintainEvery is how often the writer looks whether something is to be done in the
	// background.
	maintainEvery = time.Second
	// maxSteps and maxBodies bound what one write hands to the disk. A single envelope may be
	// larger.
	maxSteps  = 1024
	maxBodies = 4 << 20
)

// step is what a caller has the writer do.
type step struct {
	do      func(*turn) error
	size    int           // of the envelope in it
	done    chan struct{} // receives when it is on the disk, or err says why it is not
	err     error
	release func() // lets go of what the step holds for its caller, where that has gone

	// The store's mu guards what follows.
	applied bool
	ended   bool // err is there
	left    bool // the caller does not want it done any more
	gone    bool // the caller does not wait for its end
}

// writer has one goroutine, which alone changes anything. Each of its rounds takes all steps
// that have come in during the one before, so that they share a write and a sync, and a lone
// one waits for no other.
type writer struct {
	s    *Store
	o    Options
	wake chan struct{}

	ended  chan struct{}
	endErr error // set before ended is closed

	mu      sync.Mutex // guards what follows; no other lock is taken under it
	waiting []*step
	closed  bool
	crashed bool // for tests: it ends as it stands

	// For the goroutine only.
	turn       turn // kept for its memory
	next       uint64
	lost       error // why what is written would be lost; else nil
	checkpoint checkpoint
	compaction compaction
}

func newWriter(s *Store, o Options, to position) *writer {
	w := &writer{s: s, o: o, wake: make(chan struct{}, 1), ended: make(chan struct{}), next: to.number + 1}
	w.checkpoint.since = s.clock.read()
	return w
}

// do has a step done, and returns when it is on the disk. The envelope that the step takes has
// the given size.
func (w *writer) do(ctx context.Context, size int, do func(*turn) error) error {
	return w.await(ctx, &step{do: do, size: size, done: make(chan struct{}, 1)})
}

// await is do for a step that may hold something for its caller.
func (w *writer) await(ctx context.Context, st *step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return inbox.ErrClosed
	}
	w.waiting = append(w.waiting, st)
	w.mu.Unlock()
	w.signal()
	late := time.NewTimer(w.o.waitBudget)
	defer late.Stop()
	select {
	case <-st.done:
		return st.err
	case <-ctx.Done():
		if w.leave(st) {
			return ctx.Err()
		}
	case <-late.C:
		return abandon(w, st)
	}
	// It has been done, so its end is near.
	select {
	case <-st.done:
		return st.err
	case <-late.C:
		return abandon(w, st)
	}
}

// leave keeps a step from being done, and reports whether that was in time. Afterwards nobody
// touches what belongs to the caller.
func (w *writer) leave(st *step) bool {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	st.left = true
	return !st.applied
}

// abandon ends the wait for a step. What that holds for its caller is let go of when it ends.
func abandon(w *writer, st *step) error {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if st.ended {
		return st.err
	}
	st.left, st.gone = true, true
	return fmt.Errorf("%s: the disk has not taken a write for %s", w.s.segs.dir, w.o.waitBudget)
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default: // the writer is awake already
	}
}

// close refuses further steps. The writer ends once it has done those that wait.
func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
}

// run is the goroutine.
func (w *writer) run() {
	defer close(w.ended)
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		due := false
		select {
		case <-w.wake:
		case <-tick.C:
			due = true
		case err := <-w.checkpoint.running:
			w.finishCheckpoint(err)
		case moves := <-w.compaction.found:
			w.compaction.take(moves)
		}
		if due {
			w.lost = w.s.watch.Check()
		}
		w.mu.Lock()
		queued, closed := w.waiting, w.closed
		w.waiting = nil
		w.mu.Unlock()
		for len(queued) > 0 {
			n := batchOf(queued)
			w.save(queued[:n])
			queued = queued[n:]
		}
		if closed {
			if !w.crashed {
				w.endErr = w.end()
			}
			return
		}
		w.maintain(due)
	}
}

// batchOf returns how many of the steps go into one batch.
func batchOf(queued []*step) int {
	size := 0
	for n, st := range queued {
		if size += st.size; n > 0 && (n == maxSteps || size > maxBodies) {
			return n
		}
	}
	return len(queued)
}

// save does steps, and returns when what they changed is on the disk, synced. Where it is not,
// nothing has been changed.
func (w *writer) save(steps []*step) {
	err := w.room()
	if err == nil {
		err = w.lost
	}
	if err == nil {
		err = w.apply(steps)
	}
	if err == nil && len(w.turn.changes) > 0 {
		err = w.write()
	}
	finish(w, steps, err)
}

// finish ends steps. An error is that of their batch, and undoes all of it.
func finish(w *writer, steps []*step, err error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("%s cannot be written, and events are refused until it can: %w", w.s.segs.dir, err)
		w.turn.rollBack()
	}
	for _, st := range steps {
		if err != nil {
			st.err = err
		}
		st.ended = true
		if st.gone && st.err == nil && st.release != nil {
			st.release()
		}
		st.done <- struct{}{} // has room: it is sent once
	}
}

// room begins a new segment where the last one is full.
func (w *writer) room() error {
	w.turn.reset()
	last := w.s.segs.last
	if last.size < w.s.segs.limit {
		return nil
	}
	last.trim()
	// Outside of mu, as nobody else uses the last segment or adds to all of them.
	seg, err := w.s.segs.make(last.number+1, w.next)
	if err != nil {
		return err
	}
	if err := w.s.watch.Add(seg.path, seg.file, false); err != nil {
		return errors.Join(err, seg.file.Close())
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	w.s.segs.add(seg)
	return nil
}

// apply does steps in memory. An error of its own is one of the database.
func (w *writer) apply(steps []*step) error {
	t := &w.turn
	t.s, t.now = w.s, w.s.clock.read()
	t.batch = append(t.batch[:0], make([]byte, batchHead)...)
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.s.read(func(tx *bolt.Tx) error {
		t.tx, t.stored = tx, make(map[*box]records, 1)
		defer func() { t.tx, t.stored = nil, nil }()
		for _, st := range steps {
			if st.left {
				continue
			}
			st.applied = true
			st.err = st.do(t)
		}
		return nil
	})
}

// write appends the batch.
func (w *writer) write() error {
	t := &w.turn
	t.batch = append(t.batch, t.changes...)
	w.s.segs.id.encodeBatchHead(t.batch, w.next, t.now, len(t.changes))
	if err := w.s.segs.append(t.batch); err != nil {
		return err
	}
	w.next++
	w.checkpoint.written += int64(len(t.changes))
	if cap(t.batch) > 2*maxBodies {
		t.batch = nil
	}
	return nil
}

// maintain does what is due in the background.
func (w *writer) maintain(due bool) {
	cp := &w.checkpoint
	behind := w.s.clock.read()-cp.since >= checkpointEvery.Milliseconds()
	switch {
	case w.lost != nil:
		return
	case cp.running != nil && w.s.dirty >= 2*w.o.checkpointDirty:
		slowDown(w)
	case cp.running != nil:
	case w.s.dirty >= w.o.checkpointDirty, cp.failed && due, behind && due && (w.s.dirty > 0 || cp.written > 0):
		w.startCheckpoint()
	}
	w.compaction.run(w)
}

// slowDown waits for the checkpoint that is under way, as more has come in than the database
// takes. It waits the longer the more that is, so that callers are slowed down and not
// stopped; for the end of the checkpoint at twice what slowing down begins with.
func slowDown(w *writer) {
	cp, begin := &w.checkpoint, 2*w.o.checkpointDirty
	over := w.s.dirty - begin
	if over >= begin {
		w.finishCheckpoint(<-cp.running)
		return
	}
	pause := time.NewTimer(maxPause * time.Duration(over) / time.Duration(begin))
	defer pause.Stop()
	select {
	case err := <-cp.running:
		w.finishCheckpoint(err)
	case <-pause.C:
	}
}

// end leaves everything in the database. What cannot be moved stays in the log until the store
// is opened again.
func (w *writer) end() error {
	cp := &w.checkpoint
	w.lost = w.s.watch.Check()
	if w.compaction.found != nil {
		<-w.compaction.found // it reads a segment that is about to be closed
	}
	if cp.running != nil {
		w.finishCheckpoint(<-cp.running)
	}
	// Once more for one that has failed, and once for what came after it.
	for range 2 {
		if w.lost != nil || cp.pending == nil && w.s.dirty == 0 && cp.written == 0 {
			break
		}
		if w.startCheckpoint(); cp.running != nil {
			w.finishCheckpoint(<-cp.running)
		}
	}
	w.s.segs.last.trim()
	return errors.Join(cp.err, w.lost)
}
