// Package disk is a [dedupe.Store] in a directory of this machine.
package disk

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/table"
)

// Options configures [Open].
type Options struct {
	// Dir is the directory of the store, which has it to itself. It is made where it
	// is missing.
	Dir string
	// Now is the clock. Default: time.Now.
	Now func() time.Time

	journalSize int64                         // for tests; default: journalSize
	wrapJournal func(journalFile) journalFile // for tests
}

// Store is a [dedupe.Store] in a directory of this machine, for one process at a time. What is
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
type Store struct {
	dir, path string // path is the file's
	now       func() time.Time
	start     time.Time // leases count from here
	patience  time.Duration

	db       *bolt.DB
	wake     chan struct{} // tells the writer that there is something to do
	ended    chan struct{} // closed when the writer has ended
	closeErr error         // what the writer ended with

	// What the writer alone uses.
	journals  [2]*journal             // the one that is written to comes first
	number    uint64                  // of the next batch
	moved     uint64                  // of the last batch that is in the file
	moveTo    uint64                  // of the last batch in moving
	moveEnded chan error              // of the move that is under way; else nil
	since     time.Duration           // of the journal's first batch, counted from start
	changed   map[dedupe.Key]finished // by the batch that is being written
	batch     batch                   // kept for its memory, like the next two
	buffer    []byte
	taken     []*diskWrite

	// mu is held over every look at the claims and at the records that belong to
	// them, so that each call sees one state of both.
	mu      sync.Mutex
	claims  table.Table
	recent  map[dedupe.Key]finished // in the journal that is written to; changed by the writer only
	moving  map[dedupe.Key]finished // on its way from the other one into the file; nil: nothing is
	queue   []*diskWrite            // for the writer to take
	unsaved []*diskWrite            // commits of the last batch that failed
	failure error                   // why the last batch failed; nil after one that did not
	damaged bool                    // the file must not be touched any more
	closed  bool
}

// Open opens the store in a directory, and makes it first where there is none. Its
// errors name the directory and what to do.
func Open(o Options) (*Store, error) {
	d := &Store{
		now:      o.Now,
		patience: writePatience,
		wake:     make(chan struct{}, 1),
		ended:    make(chan struct{}),
		claims:   table.New(),
		changed:  make(map[dedupe.Key]finished),
		recent:   make(map[dedupe.Key]finished),
	}
	if d.now == nil {
		d.now = time.Now
	}
	d.start = d.now()
	var err error
	if d.path, d.db, err = openFile(o.Dir); err != nil {
		return nil, err
	}
	d.dir = filepath.Dir(d.path)
	if err := d.openJournals(o); err != nil {
		return nil, errors.Join(err, d.closeFiles())
	}
	if d.moving != nil {
		d.startMove()
	}
	go d.writeAll()
	return d, nil
}

// Claim implements [dedupe.Store]. It fails while the disk takes no writes.
func (d *Store) Claim(ctx context.Context, ev dedupe.Event, t dedupe.Token, lease time.Duration) (dedupe.Answer, error) {
	if err := dedupe.CheckClaim(ev, lease); err != nil {
		return dedupe.Answer{}, err
	}
	now, err := d.lock(ctx)
	if err != nil {
		return dedupe.Answer{}, err
	}
	defer d.mu.Unlock()
	if d.failure != nil {
		return dedupe.Answer{}, d.failure
	}

	answer := dedupe.Answer{State: dedupe.Claimed}
	err = d.view(func(r records) error {
		for k := range ev.Keys() {
			if held := d.claims.Get(k, now); held != nil && !held.HeldBy(t) {
				answer = dedupe.Answer{State: dedupe.InFlight}
				return nil
			}
			f, err := d.stored(r, k)
			if err != nil {
				return err
			}
			if f.expires > r.now {
				answer = f.record(r.now).Answer(ev, k == ev.Content)
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return dedupe.Answer{}, err
	}
	if answer.State != dedupe.Claimed {
		d.claims.Free(ev, t)
		return answer, nil
	}
	d.claims.Claim(ev, t, now+lease)
	return answer, nil
}

// Renew implements [dedupe.Store].
func (d *Store) Renew(ctx context.Context, ev dedupe.Event, t dedupe.Token, lease time.Duration) error {
	if err := dedupe.CheckClaim(ev, lease); err != nil {
		return err
	}
	now, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer d.mu.Unlock()
	if !d.claims.Renew(ev, t, now, lease) {
		return dedupe.ErrLost
	}
	return nil
}

// Commit implements [dedupe.Store]. It returns when the event is safe on the disk.
func (d *Store) Commit(ctx context.Context, ev dedupe.Event, status int, ttl time.Duration) error {
	if err := dedupe.CheckCommit(ev, status, ttl); err != nil {
		return err
	}
	w := newWrite(change{event: ev, status: status, expires: d.now().UnixMilli() + dedupe.Millis(ttl)})
	settled, err := d.write(ctx, w)
	if settled {
		diskWrites.Put(w)
	}
	return err
}

// Release implements [dedupe.Store].
func (d *Store) Release(ctx context.Context, ev dedupe.Event, t dedupe.Token) error {
	if err := dedupe.CheckEvent(ev); err != nil {
		return err
	}
	if _, err := d.lock(ctx); err != nil {
		return err
	}
	defer d.mu.Unlock()
	d.claims.Free(ev, t)
	return nil
}

// Lookup implements [dedupe.Store].
func (d *Store) Lookup(ctx context.Context, k dedupe.Key) (dedupe.Record, error) {
	now, err := d.lock(ctx)
	if err != nil {
		return dedupe.Record{}, err
	}
	defer d.mu.Unlock()
	rec := d.claims.Get(k, now).Record(now)
	if rec.State == dedupe.InFlight {
		return rec, nil
	}
	err = d.view(func(r records) error {
		f, err := d.stored(r, k)
		rec = f.record(r.now)
		return err
	})
	if err != nil {
		return dedupe.Record{}, err
	}
	return rec, nil
}

// Forget implements [dedupe.Store].
func (d *Store) Forget(ctx context.Context, id dedupe.Key) (dedupe.Record, error) {
	w := newWrite(change{event: dedupe.Event{ID: id}})
	w.forget = true
	_, err := d.write(ctx, w)
	switch {
	case err != nil:
		return dedupe.Record{}, err
	case w.inFlight:
		return dedupe.Record{}, dedupe.ErrInFlight
	}
	return w.found, nil
}

// Close implements [dedupe.Store]. Writes that are under way are finished first. When it
// returns, the directory is free for another process.
func (d *Store) Close() error {
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
	return errors.Join(d.closeErr, d.closeFiles())
}

func (d *Store) closeFiles() (err error) {
	for _, j := range d.journals {
		if j != nil {
			err = errors.Join(err, j.file.Close())
		}
	}
	return errors.Join(err, d.db.Close())
}

// lock enters a call: with the lock held, some lapsed claims gone, and the time.
func (d *Store) lock(ctx context.Context) (now time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return 0, dedupe.ErrClosed
	}
	now = d.elapsed()
	d.claims.Reclaim(now, table.ReclaimBatch)
	return now, nil
}

func (d *Store) elapsed() time.Duration { return d.now().Sub(d.start) }

// view looks at the records. It is called with the lock held.
func (d *Store) view(look func(records) error) error {
	if d.damaged {
		return d.failure
	}
	err := d.read(look)
	d.markDamaged(err)
	return err
}

// read looks at what is in the file.
func (d *Store) read(look func(records) error) error {
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
func (d *Store) stored(r records, k dedupe.Key) (finished, error) {
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
func (d *Store) markDamaged(err error) {
	if errors.Is(err, errDamaged) {
		d.damaged, d.failure = true, err
	}
}
