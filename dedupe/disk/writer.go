package disk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile"
)

const (
	// waitBudget is how long a caller waits for the disk. A sync that hangs for longer
	// counts as a failure, like one that is refused.
	waitBudget = 10 * time.Second
	// maintainEvery is how often the writer looks whether something is to be moved or
	// reclaimed, and how often it tries whether a disk that failed takes writes again.
	maintainEvery = time.Second
)

// writer has one goroutine, which alone writes to the log. Each of its rounds takes all
// writes that have come in during the one before, so that they share a sync and a lone
// one waits for no other.
type writer struct {
	dir        *diskfile.Directory
	clock      clock
	waitBudget time.Duration
	maxReply   int // a quarter of a log file: of a batch's other parts there is always room

	claims       *claims
	checkpointer *checkpointer
	log          *wal
	queue        queue

	ended  chan struct{} // closed when it has ended
	endErr error         // its result; set before ended is closed

	// For the goroutine only. Batch and draft are kept for their memory.
	batch batch
	draft draft // of the batch that is being written
	lost  error // why what is written would be lost; else nil
}

func newWriter(s *Store, clock clock) *writer {
	return &writer{
		dir:        s.log.dir,
		clock:      clock,
		waitBudget: waitBudget,
		maxReply:   s.log.room() / 4,

		claims:       s.claims,
		checkpointer: s.checkpointer,
		log:          s.log,

		queue: queue{wake: make(chan struct{}, 1)},
		ended: make(chan struct{}),
		draft: draft{make(map[dedupe.Key]finished), s.checkpointer},
	}
}

// commit returns when the event is safe on the disk.
func (w *writer) commit(ctx context.Context, ev dedupe.Event, success dedupe.Success, ttl time.Duration) error {
	reply := success.Reply.Pack()
	if len(reply) > w.maxReply {
		reply = "" // only log files of a size that no version makes are too small
	}
	c := newWrite(change{
		event: ev, status: success.Status, reply: reply,
		expires: w.clock.now().UnixMilli() + dedupe.Millis(ttl),
	})
	if !ev.Content.IsZero() {
		c.idText = success.IDText // nobody asks for it under the ID
	}
	finished, err := w.wait(ctx, c)
	if finished {
		writes.Put(c)
	}
	return err
}

// forget returns when the event is gone from the disk.
func (w *writer) forget(ctx context.Context, id dedupe.Key) (dedupe.Record, error) {
	f := newWrite(change{event: dedupe.Event{ID: id}})
	f.forget = true
	_, err := w.wait(ctx, f)
	switch {
	case err != nil:
		return dedupe.Record{}, err
	case f.inFlight:
		return dedupe.Record{}, dedupe.ErrInFlight
	}
	return f.found, nil
}

// wait queues a write and returns its result. Once it is finished the caller may give it
// back to writes.
func (w *writer) wait(ctx context.Context, c *write) (finished bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := w.checkpointer.damageFound(); err != nil {
		return false, err
	}
	if err := w.queue.add(c); err != nil {
		return false, err
	}
	c.late.Reset(w.waitBudget)
	defer c.late.Stop()
	select {
	case <-c.done:
		return true, c.err
	case <-ctx.Done():
		return false, ctx.Err()
	case <-c.late.C:
		err := fmt.Errorf("%s: the disk has not taken a write for %s", w.dir.Path, w.waitBudget)
		w.queue.fail(err)
		return false, err
	}
}

// run is the goroutine.
func (w *writer) run() {
	defer close(w.ended)
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		due := false
		select {
		case <-w.queue.wake:
		case <-tick.C:
			due = true
		case err := <-w.checkpointer.running:
			_ = w.checkpointer.finish(err) // a checkpoint that failed is run again
			continue
		}
		if due {
			w.checkDirectory()
		}
		queued, closed, retry := w.queue.take(due && !w.checkpointer.damaged())
		for first := true; len(queued) > 0 || retry && first; first = false {
			some := queued[:w.batchOf(queued)]
			err := w.save(some)
			if err != nil {
				some = queued // the rest would not fare better
			}
			w.finish(some, err)
			queued = queued[len(some):]
		}
		if closed {
			w.endErr = w.end()
			return
		}
		if due {
			w.maintain()
		}
	}
}

// checkDirectory takes note of whether the files are still there. Where they are not, a
// write would reach nobody, so all of them fail until the files are back.
func (w *writer) checkDirectory() {
	w.lost = w.dir.Check()
	w.checkpointer.take(w.lost)
	if w.lost != nil {
		w.queue.fail(w.lost)
	}
}

// batchOf returns how many of the writes go into one batch.
func (w *writer) batchOf(queued []*write) int {
	replies, most := 0, min(maxReplies, w.maxReply)
	for n, c := range queued {
		if replies += len(c.reply) + len(c.idText); n > 0 && (n == maxBatch || replies > most) {
			return n
		}
	}
	return len(queued)
}

// save carries writes out, and returns when they are on the disk, synced.
func (w *writer) save(some []*write) error {
	if err := w.checkpointer.damageFound(); err != nil {
		return err
	}
	if w.lost != nil {
		return w.lost
	}
	clear(w.draft.records)
	b := batch{number: w.log.next, time: w.clock.now().UnixMilli(), changes: w.batch.changes[:0]}
	read := w.checkpointer.db.read
	if slices.ContainsFunc(some, func(c *write) bool { return c.forget }) {
		read = w.readWithClaims
	}
	err := read(func(r records) error {
		r.now = b.time
		for _, c := range some {
			if c.forget {
				if err := w.prepareForget(r, c); err != nil {
					return err
				}
				if c.inFlight || c.found.State != dedupe.Done {
					continue
				}
			}
			if err := w.draft.apply(r, c.change); err != nil {
				return err
			}
			b.changes = append(b.changes, c.change)
		}
		return nil
	})
	w.batch = b
	// After a failure only a write, if of nothing, shows whether the disk takes any.
	if err == nil && (len(b.changes) > 0 || w.queue.lastFailure() != nil) {
		err = w.append(&b)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written, and events are refused until it can: %w", w.dir.Path, err)
	}
	return nil
}

// readWithClaims reads with the claims locked. To lock them later, in the middle of a
// read, could deadlock: with a Claim that waits for the checkpoint, which waits for that
// read to end.
func (w *writer) readWithClaims(look func(records) error) error {
	w.claims.mu.Lock()
	defer w.claims.mu.Unlock()
	return w.checkpointer.db.read(look)
}

// prepareForget looks up what a Forget is to remove. The claims are locked.
func (w *writer) prepareForget(r records, c *write) error {
	f, err := w.draft.latest(r, c.event.ID)
	if err != nil {
		return err
	}
	c.found = f.record(r.now)
	c.event.Content = c.found.Content
	for k := range c.event.Keys() {
		c.inFlight = c.inFlight || w.claims.table.Get(k, w.clock.elapsed()) != nil
	}
	return nil
}

// append adds a batch to the log. It rotates the log first where the batch does not fit.
func (w *writer) append(b *batch) error {
	if !w.log.fits(b) {
		if err := w.rotate(); err != nil {
			return err
		}
	}
	return w.log.append(b, w.clock.elapsed())
}

// rotate goes on in the other log file, once that one is free, and has the records of
// this one moved.
func (w *writer) rotate() error {
	if err := w.checkpointer.wait(); err != nil {
		return err
	}
	w.log.swap()
	if w.log.last() > w.checkpointer.done {
		w.checkpointer.begin(w.log.last())
	}
	return nil
}

// finish reports the result to the callers. Before that it shows what they finished and
// drops the claims on it, at once for all calls.
func (w *writer) finish(some []*write, err error) {
	var unsaved []*write
	w.claims.mu.Lock()
	w.checkpointer.publish(w.draft.records, err)
	for _, c := range some {
		switch {
		case c.forget:
			// Forgetting is not repeated: the event may have been finished anew by then.
		case err == nil:
			w.claims.table.Drop(c.event)
		default:
			unsaved = append(unsaved, &write{change: c.change})
		}
	}
	w.claims.mu.Unlock()

	// Only now: a Claim that sees no failure must see the records.
	w.queue.settle(err, unsaved)
	for _, c := range some {
		if c.done != nil {
			c.err = err
			c.done <- struct{}{} // has room: it is sent once
		}
	}
}

// maintain does what is due in the background, if no checkpoint is under way.
func (w *writer) maintain() {
	cp := w.checkpointer
	switch {
	case cp.running != nil || cp.damaged() || w.lost != nil:
	case cp.flushing != nil:
		cp.start() // it has failed before
	case w.log.last() > cp.done && w.clock.elapsed()-w.log.since >= checkpointEvery:
		_ = w.rotate() // nothing is being moved, so it has nothing to fail by
	case cp.worthReclaiming(w.log.last() == cp.done):
		cp.start()
	}
}

// end leaves everything in the database. What cannot be moved stays in the log until the
// store is opened again.
func (w *writer) end() error {
	if !w.checkpointer.damaged() {
		w.checkDirectory()
	}
	if w.checkpointer.damaged() {
		return nil
	}
	if err := w.rotate(); err != nil {
		return err
	}
	if err := w.checkpointer.wait(); err != nil {
		return err
	}
	return errors.Join(w.lost, w.checkpointer.db.write(func(r records) error { return r.setClosed(w.checkpointer.done) }))
}
