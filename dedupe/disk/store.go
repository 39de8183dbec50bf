// Package disk is a [dedupe.Store] in a directory of this machine.
//
// It has three parts. Claims are in memory (claims). Finished events go to a write-ahead
// log of two files (wal), and from there in the background into a bbolt database
// (checkpointer). One goroutine writes to the log for all callers (writer).
//
// Locks are taken in this order, and none while a database transaction is open:
//  1. claims.mu: the claims, and what a call sees of claims and records together
//  2. checkpointer.mu: the records that the database does not have yet
//  3. queue.mu: the queue of writes
package disk

import (
	"context"
	"errors"
	"time"

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

	logSize int64                 // for tests; default: logSize
	wrapLog func(logFile) logFile // for tests

	moving, moved func() // for tests: called when a checkpoint begins, and when the database has it
}

// Store is a [dedupe.Store] in a directory of this machine, for one process at a time.
// A finished event is on the disk before Commit returns, and survives the end of the
// process and a power failure. Claims are kept in memory: nobody works on the claims of
// a process that has ended, so they are void when the next one opens the store.
//
// Commits go to a write-ahead log, where one write and one sync serve all that come at a
// time. The log has two files. When one is full, or after a while, its events are moved
// into the database in the background, in large transactions, while the other one is
// written to. Events that only the log has are in memory too. Close moves everything.
//
// Leases count on the monotonic clock, times to live on the wall clock, as they go on
// while no process runs.
//
// While the disk takes no writes, Commit fails, and Claim does too: events that are let
// through then could not be remembered. The store retries in the background. It is the
// same where its directory or files are removed or replaced, which is noticed within a
// second or two.
type Store struct {
	claims       *claims
	checkpointer *checkpointer
	log          *wal
	writer       *writer
}

// Open opens the store in a directory, and makes it first where there is nothing of one.
// What is neither new nor whole is refused. Its errors name the directory and the fix.
func Open(o Options) (*Store, error) {
	clock := newClock(o.Now)
	dir, db, err := openDatabase(o.Dir, clock)
	if err != nil {
		return nil, err
	}
	cp := &checkpointer{db: db, active: make(map[dedupe.Key]finished), moving: o.moving, moved: o.moved}
	log, err := openWAL(dir, cp, o)
	if err != nil {
		return nil, errors.Join(err, db.Close(), dir.Close())
	}
	s := &Store{
		claims:       &claims{clock: clock, table: table.New()},
		checkpointer: cp,
		log:          log,
	}
	s.writer = newWriter(s, clock)
	if cp.flushing != nil {
		cp.start()
	}
	go s.writer.run()
	return s, nil
}

// Claim implements [dedupe.Store]. It fails while the disk takes no writes.
func (s *Store) Claim(ctx context.Context, ev dedupe.Event, t dedupe.Token, lease time.Duration) (dedupe.Answer, error) {
	if err := dedupe.CheckClaim(ev, lease); err != nil {
		return dedupe.Answer{}, err
	}
	now, err := s.claims.lock(ctx)
	if err != nil {
		return dedupe.Answer{}, err
	}
	defer s.claims.mu.Unlock()
	if err := s.writer.queue.lastFailure(); err != nil {
		return dedupe.Answer{}, err
	}

	answer := dedupe.Answer{State: dedupe.Claimed}
	err = s.checkpointer.view(func(r records) error {
		for k := range ev.Keys() {
			if held := s.claims.table.Get(k, now); held != nil && !held.HeldBy(t) {
				answer = dedupe.Answer{State: dedupe.InFlight}
				return nil
			}
			f, err := s.checkpointer.latest(r, k)
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
		s.claims.table.Free(ev, t)
		return answer, nil
	}
	s.claims.table.Claim(ev, t, now+lease)
	return answer, nil
}

// Renew implements [dedupe.Store].
func (s *Store) Renew(ctx context.Context, ev dedupe.Event, t dedupe.Token, lease time.Duration) error {
	if err := dedupe.CheckClaim(ev, lease); err != nil {
		return err
	}
	return s.claims.renew(ctx, ev, t, lease)
}

// Commit implements [dedupe.Store]. It returns when the event is safe on the disk.
func (s *Store) Commit(ctx context.Context, ev dedupe.Event, success dedupe.Success, ttl time.Duration) error {
	if err := dedupe.CheckCommit(ev, success, ttl); err != nil {
		return err
	}
	return s.writer.commit(ctx, ev, success, ttl)
}

// Release implements [dedupe.Store].
func (s *Store) Release(ctx context.Context, ev dedupe.Event, t dedupe.Token) error {
	if err := dedupe.CheckEvent(ev); err != nil {
		return err
	}
	return s.claims.release(ctx, ev, t)
}

// Lookup implements [dedupe.Store].
func (s *Store) Lookup(ctx context.Context, k dedupe.Key) (dedupe.Record, error) {
	now, err := s.claims.lock(ctx)
	if err != nil {
		return dedupe.Record{}, err
	}
	defer s.claims.mu.Unlock()
	rec := s.claims.table.Get(k, now).Record(now)
	if rec.State == dedupe.InFlight {
		return rec, nil
	}
	err = s.checkpointer.view(func(r records) error {
		f, err := s.checkpointer.latest(r, k)
		rec = f.record(r.now)
		return err
	})
	if err != nil {
		return dedupe.Record{}, err
	}
	return rec, nil
}

// Forget implements [dedupe.Store].
func (s *Store) Forget(ctx context.Context, id dedupe.Key) (dedupe.Record, error) {
	return s.writer.forget(ctx, id)
}

// GatherFor implements [dedupe.Gatherer]: what comes in this time shares a sync.
func (s *Store) GatherFor() time.Duration { return 10 * time.Millisecond }

// Close implements [dedupe.Store]. Writes that are under way are finished first. When it
// returns, the directory is free for another process.
func (s *Store) Close() error {
	s.claims.close()
	first := s.writer.queue.close()
	if s.checkpointer.damaged() {
		return nil // the library may hold locks for good: the end of the process closes the file
	}
	<-s.writer.ended
	if !first {
		return nil
	}
	return errors.Join(s.writer.endErr, s.log.close(), s.checkpointer.db.Close(), s.log.dir.Close())
}

var (
	_ dedupe.Store    = (*Store)(nil)
	_ dedupe.Gatherer = (*Store)(nil)
)
