package dedupe

import (
	"context"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// writePatience is how long a caller waits for the disk. A sync that hangs for
	// longer counts as a failure, like one that is refused.
	writePatience = 10 * time.Second
	// upkeepEvery is how often the writer reclaims what has expired, and how often it
	// tries whether a disk that failed takes writes again.
	upkeepEvery = time.Second
	// upkeepBatch is how many expired records one upkeep removes at most. A transaction
	// as large as that is over in some milliseconds, and commits wait for it.
	upkeepBatch = 2000
	// reclaimPerWrite is how many a write removes on its way: twice what it adds.
	reclaimPerWrite = 4
)

// diskWrite is a change of the file that somebody waits for.
type diskWrite struct {
	apply func(records) error
	event Event         // finished by it; zero for a Forget
	done  chan struct{} // closed when it is on the disk, or err says why it is not
	err   error
}

// write hands a change to the writer and waits until it is safe on the disk.
func (d *Disk) write(ctx context.Context, w *diskWrite) error {
	w.done = make(chan struct{})
	if _, err := d.lock(ctx); err != nil {
		return err
	}
	if d.damaged {
		defer d.mu.Unlock()
		return d.failure
	}
	d.queue = append(d.queue, w)
	d.mu.Unlock()
	d.signal()

	late := time.NewTimer(d.patience)
	defer late.Stop()
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		err := fmt.Errorf("%s: the disk has not taken a write for %s", d.path, d.patience)
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.damaged {
			d.failure = err // until a write succeeds
		}
		return err
	}
}

func (d *Disk) signal() {
	select {
	case d.wake <- struct{}{}:
	default: // it has been told already
	}
}

// writeAll is the writer: the one goroutine that changes the file. Each of its turns
// takes all writes that have come in during the one before into one transaction, so
// that they share its syncs and a lone one waits for nobody.
func (d *Disk) writeAll() {
	defer close(d.ended)
	tick := time.NewTicker(upkeepEvery)
	defer tick.Stop()
	for {
		upkeep := false
		select {
		case <-d.wake:
		case <-tick.C:
			upkeep = true
		}
		d.mu.Lock()
		batch, closed, failed, damaged := d.queue, d.closed, d.failure != nil, d.damaged
		d.queue = nil
		retry := upkeep && failed
		if retry {
			// What failed is the best probe of whether the like of it succeeds by now.
			batch = append(d.unsaved, batch...)
		}
		d.mu.Unlock()

		reclaim := reclaimPerWrite * len(batch)
		if upkeep && !failed && !damaged && d.anyOver() {
			reclaim += upkeepBatch
		}
		if len(batch) > 0 || reclaim > 0 || retry {
			d.settle(batch, d.transact(batch, reclaim))
		}
		if closed {
			return
		}
	}
}

func (d *Disk) anyOver() (over bool) {
	err := guarded(func() error {
		return d.db.View(func(tx *bolt.Tx) error {
			over = recordsOf(tx, d.now()).anyOver()
			return nil
		})
	})
	return over && err == nil
}

// transact carries a batch out, and returns when it is on the disk, synced.
func (d *Disk) transact(batch []*diskWrite, reclaim int) error {
	d.mu.Lock()
	damaged, failure := d.damaged, d.failure
	d.mu.Unlock()
	if damaged {
		return failure
	}
	err := guarded(func() error {
		return d.db.Update(func(tx *bolt.Tx) error {
			r := recordsOf(tx, d.now())
			for _, w := range batch {
				if err := w.apply(r); err != nil {
					return err
				}
			}
			return r.reclaim(reclaim)
		})
	})
	if err != nil {
		return fmt.Errorf("%s cannot be written, and events are refused until it can: %w", d.path, err)
	}
	return nil
}

// settle tells the callers, after the claims on what they finished are dropped.
func (d *Disk) settle(batch []*diskWrite, err error) {
	d.mu.Lock()
	d.unsaved = nil
	if !d.damaged {
		d.failure = err
	}
	for _, w := range batch {
		switch {
		case w.event == Event{}:
			// Forgetting is not repeated: the event may have been finished anew by then.
		case err == nil:
			for k := range w.event.keys() {
				d.claims.remove(d.claims.find(k))
			}
		default:
			d.unsaved = append(d.unsaved, &diskWrite{apply: w.apply, event: w.event})
		}
	}
	d.markDamaged(err)
	d.mu.Unlock()
	for _, w := range batch {
		if w.done != nil {
			w.err = err
			close(w.done)
		}
	}
}
