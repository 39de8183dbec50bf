package disk

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

const (
	// writePatience is how long a caller waits for the disk. A sync that hangs for
	// longer counts as a failure, like one that is refused.
	writePatience = 10 * time.Second
	// upkeepEvery is how often the writer looks whether something is to be moved or
	// reclaimed, and how often it tries whether a disk that failed takes writes again.
	upkeepEvery = time.Second
)

// diskWrite is a change that somebody waits for.
type diskWrite struct {
	change
	forget   bool          // the ID that the change names, and its content
	found    dedupe.Record // by a Forget
	inFlight bool          // what a Forget found is

	done chan struct{} // told when it is on the disk, or err says why it is not
	late *time.Timer
	err  error
}

// diskWrites are kept for the next caller, with what it waits on.
var diskWrites = sync.Pool{New: func() any {
	late := time.NewTimer(time.Hour)
	late.Stop()
	return &diskWrite{done: make(chan struct{}, 1), late: late}
}}

func newWrite(c change) *diskWrite {
	w := diskWrites.Get().(*diskWrite)
	*w = diskWrite{change: c, done: w.done, late: w.late}
	return w
}

// write hands a change to the writer and waits until it is safe on the disk. Once it has
// been settled, w is the caller's, to give back to diskWrites.
func (d *Store) write(ctx context.Context, w *diskWrite) (settled bool, err error) {
	if _, err := d.lock(ctx); err != nil {
		return false, err
	}
	if d.damaged {
		defer d.mu.Unlock()
		return false, d.failure
	}
	d.queue = append(d.queue, w)
	d.mu.Unlock()
	d.signal()

	w.late.Reset(d.patience)
	defer w.late.Stop()
	select {
	case <-w.done:
		return true, w.err
	case <-ctx.Done():
		return false, ctx.Err()
	case <-w.late.C:
		err := fmt.Errorf("%s: the disk has not taken a write for %s", d.dir, d.patience)
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.damaged {
			d.failure = err // until a write succeeds
		}
		return false, err
	}
}

func (d *Store) signal() {
	select {
	case d.wake <- struct{}{}:
	default: // it has been told already
	}
}

// writeAll is the writer: the one goroutine that writes to the journals. Each of its
// turns takes all writes that have come in during the one before, so that they share a
// sync and a lone one waits for nobody.
func (d *Store) writeAll() {
	defer close(d.ended)
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		upkeep := false
		select {
		case <-d.wake:
		case <-tick.C:
			upkeep = true
		case err := <-d.moveEnded:
			_ = d.endMove(err) // it is tried again
			continue
		}
		d.mu.Lock()
		writes, closed, failed := d.queue, d.closed, d.failure != nil
		d.queue, d.taken = d.taken[:0], writes
		retry := upkeep && failed && !d.damaged
		if retry {
			// What failed is the best probe of whether the like of it succeeds by now.
			writes = append(d.unsaved, writes...)
		}
		d.mu.Unlock()

		for first := true; len(writes) > 0 || retry && first; first = false {
			some := writes[:min(len(writes), maxBatch)]
			err := d.save(some)
			if err != nil {
				some = writes // the rest would not fare better
			}
			d.settle(some, err)
			writes = writes[len(some):]
		}
		if closed {
			d.closeErr = d.end()
			return
		}
		if upkeep {
			d.keepUp()
		}
	}
}

// save carries writes out, and returns when they are on the disk, synced.
func (d *Store) save(writes []*diskWrite) error {
	d.mu.Lock()
	damaged, failure := d.damaged, d.failure
	d.mu.Unlock()
	if damaged {
		return failure
	}
	clear(d.changed)
	b := batch{number: d.number, time: d.now().UnixMilli(), changes: d.batch.changes[:0]}
	read := d.read
	if slices.ContainsFunc(writes, func(w *diskWrite) bool { return w.forget }) {
		read = d.readLocked
	}
	err := read(func(r records) error {
		r.now = b.time
		for _, w := range writes {
			if w.forget {
				if err := d.prepareForget(r, w); err != nil {
					return err
				}
				if w.inFlight || w.found.State != dedupe.Done {
					continue
				}
			}
			if err := d.apply(d.changed, r, w.change); err != nil {
				return err
			}
			b.changes = append(b.changes, w.change)
		}
		return nil
	})
	d.batch = b
	// After a failure only a write, if of nothing, tells whether the disk takes any.
	if err == nil && (len(b.changes) > 0 || failure != nil) {
		err = d.add(&b)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written, and events are refused until it can: %w", d.dir, err)
	}
	return nil
}

// readLocked is read with the lock held, for a look at the claims. To take it later, in
// the middle of a read, could wait for ever: for a Claim that waits for the mover, which
// waits for that read.
func (d *Store) readLocked(look func(records) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.read(look)
}

// prepareForget looks up what a Forget is to remove. It is called with the lock held.
func (d *Store) prepareForget(r records, w *diskWrite) error {
	f, err := d.after(d.changed, r, w.event.ID)
	if err != nil {
		return err
	}
	w.found = f.record(r.now)
	w.event.Content = w.found.Content
	for k := range w.event.Keys() {
		w.inFlight = w.inFlight || d.claims.Get(k, d.elapsed()) != nil
	}
	return nil
}

// add puts a batch into the journal.
func (d *Store) add(b *batch) error {
	if !d.journals[0].fits(b.size()) {
		if err := d.turn(); err != nil {
			return err
		}
	}
	if d.journals[0].at == journalStart {
		d.since = d.elapsed()
	}
	d.buffer = b.append(d.buffer[:0])
	if err := d.journals[0].add(d.buffer); err != nil {
		return err
	}
	d.number++
	return nil
}

// apply adds to changed what a change makes of its keys.
func (d *Store) apply(changed map[dedupe.Key]finished, r records, c change) error {
	for k := range c.event.Keys() {
		if c.status == 0 {
			changed[k] = finished{}
			continue
		}
		// A key that is finished already keeps its record, and its time is only ever
		// lengthened.
		f, err := d.after(changed, r, k)
		if err != nil {
			return err
		}
		switch {
		case f.expires <= r.now:
			f = finished{expires: c.expires, status: int16(c.status)}
			if k == c.event.ID {
				f.content = c.event.Content
			}
		case c.expires <= f.expires:
			continue
		default:
			f.expires = c.expires
		}
		changed[k] = f
	}
	return nil
}

// after returns what is known of k when the changes so far will have been made.
func (d *Store) after(changed map[dedupe.Key]finished, r records, k dedupe.Key) (finished, error) {
	if f, ok := changed[k]; ok {
		return f, nil
	}
	return d.stored(r, k)
}

// settle tells the callers, after what they finished is known and the claims on it are
// dropped.
func (d *Store) settle(writes []*diskWrite, err error) {
	d.mu.Lock()
	d.unsaved = nil
	if !d.damaged {
		d.failure = err
	}
	if err == nil {
		maps.Copy(d.recent, d.changed)
	}
	for _, w := range writes {
		switch {
		case w.forget:
			// Forgetting is not repeated: the event may have been finished anew by then.
		case err == nil:
			d.claims.Drop(w.event)
		default:
			d.unsaved = append(d.unsaved, &diskWrite{change: w.change})
		}
	}
	d.markDamaged(err)
	d.mu.Unlock()
	for _, w := range writes {
		if w.done != nil {
			w.err = err
			w.done <- struct{}{} // has room: each is told once
		}
	}
}

// end leaves everything in the file, and lets go of it. What cannot be moved stays in
// the journals until the store is opened again.
func (d *Store) end() error {
	if d.isDamaged() {
		return nil // locks of the file may be held for good: it is left to the end of the process
	}
	return d.moveAll()
}

func (d *Store) isDamaged() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.damaged
}
