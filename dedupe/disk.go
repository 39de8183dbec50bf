package dedupe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// DiskOptions configures OpenDisk.
type DiskOptions struct {
	// Dir is the directory of the store, which has it to itself. It is made where it
	// is missing.
	Dir string
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Disk is a [Store] in one file of this machine, for one process at a time. What is
// finished is on the disk before Commit returns, and survives the process and the
// power supply. Claims are kept in memory: nobody works on the claims of a process that
// has ended, so they are void when the next one opens the store.
//
// Leases count on the monotonic clock, times to live on the wall clock, as they go on
// while no process runs.
//
// While the disk takes no writes, Commit fails, and Claim does too: events that are
// let through then could not be remembered. It tries on by itself.
type Disk struct {
	path     string
	now      func() time.Time
	start    time.Time // leases count from here
	patience time.Duration

	db    *bolt.DB
	wake  chan struct{} // tells the writer that there is something to do
	ended chan struct{} // closed when the writer has ended

	// mu is held over every look at the claims and at the records that belong to
	// them, so that each call sees one state of both.
	mu      sync.Mutex
	claims  table
	queue   []*diskWrite // for the writer to take
	unsaved []*diskWrite // commits of the last batch that failed
	failure error        // why the last batch failed; nil after one that did not
	damaged bool         // the file must not be touched any more
	closed  bool
}

// OpenDisk opens the store in a directory, and makes it first where there is none. Its
// errors name the directory and what to do.
func OpenDisk(o DiskOptions) (*Disk, error) {
	d := &Disk{
		now:      o.Now,
		patience: writePatience,
		wake:     make(chan struct{}, 1),
		ended:    make(chan struct{}),
		claims:   newTable(),
	}
	if d.now == nil {
		d.now = time.Now
	}
	d.start = d.now()
	var err error
	if d.path, d.db, err = openFile(o.Dir); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	go d.writeAll()
	return d, nil
}

// Claim implements [Store]. It fails while the disk takes no writes.
func (d *Disk) Claim(ctx context.Context, ev Event, t Token, lease time.Duration) (Answer, error) {
	if err := checkClaim(ev, lease); err != nil {
		return Answer{}, fmt.Errorf("claim: %w", err)
	}
	now, err := d.lock(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("claim: %w", err)
	}
	defer d.mu.Unlock()
	if d.failure != nil {
		return Answer{}, fmt.Errorf("claim: %w", d.failure)
	}

	answer := Answer{State: Claimed}
	err = d.view(func(r records) error {
		for k := range ev.keys() {
			// The claim first: a record may be seen shortly before it is safe on the disk,
			// and until then the claim stands.
			if held := d.claims.get(k, now); held != nil && !held.heldBy(t) {
				answer = Answer{State: InFlight}
				return nil
			}
			done, err := r.get(k)
			if err != nil {
				return err
			}
			if done.State == Done {
				answer = done.answer(ev, k == ev.Content)
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return Answer{}, fmt.Errorf("claim: %w", err)
	}
	if answer.State != Claimed {
		d.claims.free(ev, t)
		return answer, nil
	}
	for k := range ev.keys() {
		d.claims.put(k, now+lease).owner = t
	}
	return answer, nil
}

// Renew implements [Store].
func (d *Disk) Renew(ctx context.Context, ev Event, t Token, lease time.Duration) error {
	if err := checkClaim(ev, lease); err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	now, err := d.lock(ctx)
	if err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	defer d.mu.Unlock()
	if !d.claims.renew(ev, t, now, lease) {
		return fmt.Errorf("renew: %w", ErrLost)
	}
	return nil
}

// Commit implements [Store]. It returns when the event is safe on the disk.
func (d *Disk) Commit(ctx context.Context, ev Event, status int, ttl time.Duration) error {
	if err := checkCommit(ev, status, ttl); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	expires := d.now().UnixMilli() + millis(ttl)
	err := d.write(ctx, &diskWrite{event: ev, apply: func(r records) error {
		for k := range ev.keys() {
			rec := Record{Status: status}
			if k == ev.ID {
				rec.Content = ev.Content
			}
			if err := r.finish(k, rec, expires); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Release implements [Store].
func (d *Disk) Release(ctx context.Context, ev Event, t Token) error {
	if err := checkEvent(ev); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if _, err := d.lock(ctx); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	defer d.mu.Unlock()
	d.claims.free(ev, t)
	return nil
}

// Lookup implements [Store].
func (d *Disk) Lookup(ctx context.Context, k Key) (Record, error) {
	now, err := d.lock(ctx)
	if err != nil {
		return Record{}, fmt.Errorf("lookup: %w", err)
	}
	defer d.mu.Unlock()
	rec := d.claims.get(k, now).record(now)
	if rec.State == InFlight {
		return rec, nil
	}
	err = d.view(func(r records) error {
		rec, err = r.get(k)
		return err
	})
	if err != nil {
		return Record{}, fmt.Errorf("lookup: %w", err)
	}
	return rec, nil
}

// Forget implements [Store].
func (d *Disk) Forget(ctx context.Context, id Key) (Record, error) {
	var rec Record
	inFlight := false
	err := d.write(ctx, &diskWrite{apply: func(r records) (err error) {
		if rec, err = r.get(id); err != nil {
			return err
		}
		if inFlight = d.inFlight(id) || d.inFlight(rec.Content); inFlight {
			return nil
		}
		return errors.Join(r.remove(id), r.remove(rec.Content))
	}})
	switch {
	case err != nil:
		return Record{}, fmt.Errorf("forget: %w", err)
	case inFlight:
		return Record{}, fmt.Errorf("forget: %w", ErrInFlight)
	}
	return rec, nil
}

func (d *Disk) inFlight(k Key) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.claims.get(k, d.elapsed()) != nil
}

// Close implements [Store]. Writes that are under way are finished first. When it
// returns, the directory is free for another process.
func (d *Disk) Close() error {
	d.mu.Lock()
	closed, damaged := d.closed, d.damaged
	d.closed = true
	d.mu.Unlock()
	d.signal()
	if damaged {
		return nil // locks of the file may be held for good: it is left to the end of the process
	}
	<-d.ended
	if closed {
		return nil
	}
	if err := d.db.Close(); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	return nil
}

// lock enters a call: with the lock held, some lapsed claims gone, and the time.
func (d *Disk) lock(ctx context.Context) (now time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return 0, ErrClosed
	}
	now = d.elapsed()
	d.claims.reclaim(now, reclaimBatch)
	return now, nil
}

func (d *Disk) elapsed() time.Duration { return d.now().Sub(d.start) }

// view looks at the records. It is called with the lock held.
func (d *Disk) view(look func(records) error) error {
	if d.damaged {
		return d.failure
	}
	err := guarded(func() error {
		return d.db.View(func(tx *bolt.Tx) error { return look(recordsOf(tx, d.now())) })
	})
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", d.path, err)
	d.markDamaged(err)
	return err
}

// markDamaged keeps everybody from the file once it has turned out not to make sense:
// the library may have been left in any state. It is called with the lock held.
func (d *Disk) markDamaged(err error) {
	if errors.Is(err, errDamaged) {
		d.damaged, d.failure = true, err
	}
}
