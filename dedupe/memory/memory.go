// Package memory is a [dedupe.Store] in the memory of this process.
package memory

import (
	"context"
	"sync"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/table"
)

// DefaultMaxEntries is the bound of a [Store] whose options name none.
const DefaultMaxEntries = 1_000_000

// Options configures [New]. The zero value is ready to use.
type Options struct {
	// MaxEntries bounds the number of keys held; an event has one or two. Each takes
	// about 95 bytes. A reply that is remembered counts as another one for each 100 bytes,
	// under each key, and so does the text of an ID. Default: 1,000,000.
	MaxEntries int
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Warn is called when the store becomes 80% full, and again only after it was
	// emptier in between. It is called without the store's lock. Default: nothing.
	Warn func(entries, max int)
}

// Store is a [dedupe.Store] in this process. It is bounded, never drops an entry before
// its time, and is gone when the process ends.
type Store struct {
	now   func() time.Time
	warn  func(entries, max int)
	start time.Time // expiries count from here, so that setting the clock moves none

	mu     sync.Mutex // guards what follows
	max    int
	warned bool
	closed bool
	table  table.Table
}

// New returns an empty store.
func New(o Options) *Store {
	s := &Store{now: o.Now, warn: o.Warn, table: table.New()}
	if s.now == nil {
		s.now = time.Now
	}
	s.start = s.now()
	s.SetMaxEntries(o.MaxEntries)
	return s
}

// SetMaxEntries changes the bound; zero or less means the default. Entries beyond a
// lower bound stay until they expire; only new events are refused.
func (s *Store) SetMaxEntries(n int) {
	if n <= 0 {
		n = DefaultMaxEntries
	}
	s.mu.Lock()
	defer s.unlock()
	s.max = n
}

// Len returns the number of keys held. Expired ones that are not reclaimed yet may be among them.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.unlock()
	s.table.Reclaim(s.elapsed(), table.ReclaimBatch)
	return s.table.Len()
}

// Claim implements [dedupe.Store]. It returns ErrFull where ev needs more new entries
// than there is room for.
func (s *Store) Claim(ctx context.Context, ev dedupe.Event, t dedupe.Token, lease time.Duration) (dedupe.Answer, error) {
	if err := dedupe.CheckClaim(ev, lease); err != nil {
		return dedupe.Answer{}, err
	}
	now, err := s.lock(ctx)
	if err != nil {
		return dedupe.Answer{}, err
	}
	defer s.unlock()

	missing := 0
	for k := range ev.Keys() {
		switch e := s.table.Get(k, now); {
		case e == nil:
			missing++
		case !e.HeldBy(t):
			s.table.Free(ev, t)
			return s.table.Record(e, now).Answer(ev, k == ev.Content), nil
		}
	}
	if !s.room(missing, now) {
		s.table.Free(ev, t)
		return dedupe.Answer{}, dedupe.ErrFull
	}
	s.table.Claim(ev, t, now+lease)
	return dedupe.Answer{State: dedupe.Claimed}, nil
}

// Renew implements [dedupe.Store].
func (s *Store) Renew(ctx context.Context, ev dedupe.Event, t dedupe.Token, lease time.Duration) error {
	if err := dedupe.CheckClaim(ev, lease); err != nil {
		return err
	}
	now, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer s.unlock()
	if !s.table.Renew(ev, t, now, lease) {
		return dedupe.ErrLost
	}
	return nil
}

// Commit implements [dedupe.Store]. It stores beyond the bound rather than lose a
// success: that takes a claim that has lapsed, so it cannot happen often.
func (s *Store) Commit(ctx context.Context, ev dedupe.Event, success dedupe.Success, ttl time.Duration) error {
	if err := dedupe.CheckCommit(ev, success, ttl); err != nil {
		return err
	}
	now, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer s.unlock()
	s.table.Finish(ev, success, now, ttl)
	return nil
}

// Release implements [dedupe.Store].
func (s *Store) Release(ctx context.Context, ev dedupe.Event, t dedupe.Token) error {
	if err := dedupe.CheckEvent(ev); err != nil {
		return err
	}
	if _, err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	s.table.Free(ev, t)
	return nil
}

// Lookup implements [dedupe.Store].
func (s *Store) Lookup(ctx context.Context, k dedupe.Key) (dedupe.Record, error) {
	now, err := s.lock(ctx)
	if err != nil {
		return dedupe.Record{}, err
	}
	defer s.unlock()
	return s.table.Record(s.table.Get(k, now), now), nil
}

// Forget implements [dedupe.Store].
func (s *Store) Forget(ctx context.Context, id dedupe.Key) (dedupe.Record, error) {
	now, err := s.lock(ctx)
	if err != nil {
		return dedupe.Record{}, err
	}
	defer s.unlock()

	e := s.table.Get(id, now)
	rec := s.table.Record(e, now)
	content := s.table.Get(rec.Content, now)
	if e.InFlight() || content.InFlight() {
		return dedupe.Record{}, dedupe.ErrInFlight
	}
	s.table.Remove(content)
	s.table.Remove(e)
	return rec, nil
}

// Close implements [dedupe.Store]. It drops every entry.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.table = true, table.Table{}
	return nil
}

// lock enters a call. It takes the lock, removes some expired entries and returns the time.
func (s *Store) lock(ctx context.Context) (now time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return 0, dedupe.ErrClosed
	}
	// The clock is read under the lock, so that time never runs backwards between calls.
	now = s.elapsed()
	s.table.Reclaim(now, table.ReclaimBatch)
	return now, nil
}

// unlock leaves a call, and warns when it has made the store 80% full.
func (s *Store) unlock() {
	n, limit := s.table.Weight(), s.max
	full := n >= limit-limit/5
	warn := full && !s.warned
	s.warned = full
	s.mu.Unlock()
	if warn && s.warn != nil {
		s.warn(n, limit)
	}
}

func (s *Store) elapsed() time.Duration { return s.now().Sub(s.start) }

// room reports whether n more entries fit, once all that has expired is gone.
func (s *Store) room(n int, now time.Duration) bool {
	over := func() int { return s.table.Weight() + n - s.max }
	if n > 0 && over() > 0 {
		s.table.Reclaim(now, over())
	}
	return n == 0 || over() <= 0
}

var _ dedupe.Store = (*Store)(nil)
