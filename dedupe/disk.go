package dedupe

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
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

	journalSize int64                         // for tests; default: journalSize
	wrapJournal func(journalFile) journalFile // for tests
}

// Disk is a [Store] in a directory of this machine, for one process at a time. What is
// finished is on the disk before Commit returns, and survives the process and the
// power supply. Claims are kept in memory: nobody works on the claims of a process that
// has ended, so they are void when the next one opens the store.
//
// Commits go to a journal, where one write and one sync are enough for all that come at
// a time. Two journals take turns: when one is full, or after a while, what it holds is
// moved into the file, in the background and in large transactions, while the other one
// is written to. What is in a journal only is in memory too. Close moves everything.
//
// Leases count on the monotonic clock, times to live on the wall clock, as they go on
// while no process runs.
//
// While the disk takes no writes, Commit fails, and Claim does too: events that are
// let through then could not be remembered. It tries on by itself.
type Disk struct {
	dir, path string // path is the file's
	now       func() time.Time
	start     time.Time // leases count from here
	patience  time.Duration

	db       *bolt.DB
	wake     chan struct{} // tells the writer that there is something to do
	ended    chan struct{} // closed when the writer has ended
	closeErr error         // what the writer ended with

	// What the writer alone uses.
	journals  [2]*journal      // the one that is written to comes first
	number    uint64           // of the next batch
	moved     uint64           // of the last batch that is in the file
	moveTo    uint64           // of the last batch in moving
	moveEnded chan error       // of the move that is under way; else nil
	since     time.Duration    // of the journal's first batch, counted from start
	changed   map[Key]finished // by the batch that is being written
	batch     batch            // kept for its memory, like the next two
	buffer    []byte
	taken     []*diskWrite

	// mu is held over every look at the claims and at the records that belong to
	// them, so that each call sees one state of both.
	mu      sync.Mutex
	claims  table
	recent  map[Key]finished // in the journal that is written to; changed by the writer only
	moving  map[Key]finished // on its way from the other one into the file; nil: nothing is
	queue   []*diskWrite     // for the writer to take
	unsaved []*diskWrite     // commits of the last batch that failed
	failure error            // why the last batch failed; nil after one that did not
	damaged bool             // the file must not be touched any more
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
		changed:  make(map[Key]finished),
		recent:   make(map[Key]finished),
	}
	if d.now == nil {
		d.now = time.Now
	}
	d.start = d.now()
	var err error
	if d.path, d.db, err = openFile(o.Dir); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	d.dir = filepath.Dir(d.path)
	if err := d.openJournals(o); err != nil {
		return nil, fmt.Errorf("disk: %w", errors.Join(err, d.closeFiles()))
	}
	if d.moving != nil {
		d.startMove()
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
			if held := d.claims.get(k, now); held != nil && !held.heldBy(t) {
				answer = Answer{State: InFlight}
				return nil
			}
			f, err := d.stored(r, k)
			if err != nil {
				return err
			}
			if f.expires > r.now {
				answer = f.record(r.now).answer(ev, k == ev.Content)
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
	w := newWrite(change{event: ev, status: status, expires: d.now().UnixMilli() + millis(ttl)})
	settled, err := d.write(ctx, w)
	if settled {
		diskWrites.Put(w)
	}
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
		f, err := d.stored(r, k)
		rec = f.record(r.now)
		return err
	})
	if err != nil {
		return Record{}, fmt.Errorf("lookup: %w", err)
	}
	return rec, nil
}

// Forget implements [Store].
func (d *Disk) Forget(ctx context.Context, id Key) (Record, error) {
	w := newWrite(change{event: Event{ID: id}})
	w.forget = true
	_, err := d.write(ctx, w)
	switch {
	case err != nil:
		return Record{}, fmt.Errorf("forget: %w", err)
	case w.inFlight:
		return Record{}, fmt.Errorf("forget: %w", ErrInFlight)
	}
	return w.found, nil
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
	if err := errors.Join(d.closeErr, d.closeFiles()); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	return nil
}

func (d *Disk) closeFiles() (err error) {
	for _, j := range d.journals {
		if j != nil {
			err = errors.Join(err, j.file.Close())
		}
	}
	return errors.Join(err, d.db.Close())
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
	err := d.read(look)
	d.markDamaged(err)
	return err
}

// read looks at what is in the file.
func (d *Disk) read(look func(records) error) error {
	err := guarded(func() error {
		return d.db.View(func(tx *bolt.Tx) error { return look(recordsOf(tx, d.now())) })
	})
	if err != nil {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	return nil
}

// stored returns what is known of k, newest first, whether or not its time is over. It
// is called with the lock held, or by the writer.
func (d *Disk) stored(r records, k Key) (finished, error) {
	if f, ok := d.recent[k]; ok {
		return f, nil
	}
	if f, ok := d.moving[k]; ok {
		return f, nil
	}
	return r.stored(k)
}

// markDamaged keeps everybody from the file once it has turned out not to make sense:
// the library may have been left in any state. It is called with the lock held.
func (d *Disk) markDamaged(err error) {
	if errors.Is(err, errDamaged) {
		d.damaged, d.failure = true, err
	}
}
