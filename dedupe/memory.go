package dedupe

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// DefaultMaxEntries is the bound of a [Memory] store that names none.
const DefaultMaxEntries = 1_000_000

// MemoryOptions configures NewMemory. The zero value is ready to use.
type MemoryOptions struct {
	// MaxEntries bounds the number of keys held; an event has one or two. Each takes
	// about 95 bytes. Default: 1,000,000.
	MaxEntries int
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Warn is called when the store becomes 80% full, and again only after it was
	// emptier in between. It is called without the store's lock. Default: nothing.
	Warn func(entries, max int)
}

// Memory is a [Store] in this process: bounded, never dropping an entry before its
// time, and gone when the process ends.
type Memory struct {
	now   func() time.Time
	warn  func(entries, max int)
	start time.Time // expiries count from here, so that a clock set back or forth moves none

	mu     sync.Mutex
	max    int
	warned bool
	closed bool
	table
}

// NewMemory returns an empty store.
func NewMemory(o MemoryOptions) *Memory {
	m := &Memory{now: o.Now, warn: o.Warn, table: newTable()}
	if m.now == nil {
		m.now = time.Now
	}
	m.start = m.now()
	m.SetMaxEntries(o.MaxEntries)
	return m
}

// SetMaxEntries changes the bound; zero or less means the default. Entries beyond a
// lower bound stay until they expire, only new events are refused.
func (m *Memory) SetMaxEntries(n int) {
	if n <= 0 {
		n = DefaultMaxEntries
	}
	m.mu.Lock()
	defer m.unlock()
	m.max = n
}

// Len returns the number of keys held. Expired ones that are not reclaimed yet may be among them.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.unlock()
	m.reclaim(m.elapsed(), reclaimBatch)
	return m.len()
}

// Claim implements [Store]. It returns ErrFull where ev needs more new entries than there is room for.
func (m *Memory) Claim(ctx context.Context, ev Event, t Token, lease time.Duration) (Answer, error) {
	if err := checkClaim(ev, lease); err != nil {
		return Answer{}, fmt.Errorf("claim: %w", err)
	}
	now, err := m.lock(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("claim: %w", err)
	}
	defer m.unlock()

	missing := 0
	for k := range ev.keys() {
		switch e := m.get(k, now); {
		case e == nil:
			missing++
		case !e.heldBy(t):
			m.free(ev, t)
			return e.record(now).answer(ev, k == ev.Content), nil
		}
	}
	if !m.room(missing, now) {
		m.free(ev, t)
		return Answer{}, fmt.Errorf("claim: %w", ErrFull)
	}
	for k := range ev.keys() {
		m.put(k, now+lease).owner = t
	}
	return Answer{State: Claimed}, nil
}

// Renew implements [Store].
func (m *Memory) Renew(ctx context.Context, ev Event, t Token, lease time.Duration) error {
	if err := checkClaim(ev, lease); err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	now, err := m.lock(ctx)
	if err != nil {
		return fmt.Errorf("renew: %w", err)
	}
	defer m.unlock()

	if !m.renew(ev, t, now, lease) {
		return fmt.Errorf("renew: %w", ErrLost)
	}
	return nil
}

// Commit implements [Store]. It stores beyond the bound rather than lose a success:
// that takes a claim that has lapsed, so it cannot happen often.
func (m *Memory) Commit(ctx context.Context, ev Event, status int, ttl time.Duration) error {
	if err := checkCommit(ev, status, ttl); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	now, err := m.lock(ctx)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	defer m.unlock()

	for k := range ev.keys() {
		e := m.get(k, now)
		if e != nil && e.status != 0 {
			m.put(k, max(e.expires, now+ttl))
			continue
		}
		e = m.put(k, now+ttl)
		e.status, e.owner = int16(status), Key{}
		if k == ev.ID {
			e.owner = ev.Content
		}
	}
	return nil
}

// Release implements [Store].
func (m *Memory) Release(ctx context.Context, ev Event, t Token) error {
	if err := checkEvent(ev); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if _, err := m.lock(ctx); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	defer m.unlock()
	m.free(ev, t)
	return nil
}

// Lookup implements [Store].
func (m *Memory) Lookup(ctx context.Context, k Key) (Record, error) {
	now, err := m.lock(ctx)
	if err != nil {
		return Record{}, fmt.Errorf("lookup: %w", err)
	}
	defer m.unlock()
	return m.get(k, now).record(now), nil
}

// Forget implements [Store].
func (m *Memory) Forget(ctx context.Context, id Key) (Record, error) {
	now, err := m.lock(ctx)
	if err != nil {
		return Record{}, fmt.Errorf("forget: %w", err)
	}
	defer m.unlock()

	e := m.get(id, now)
	rec := e.record(now)
	content := m.get(rec.Content, now)
	if rec.State == InFlight || content != nil && content.status == 0 {
		return Record{}, fmt.Errorf("forget: %w", ErrInFlight)
	}
	m.remove(content)
	m.remove(e)
	return rec, nil
}

// Close implements [Store]. It drops every entry.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.table = true, table{}
	return nil
}

// lock enters a call: with the lock held, some expired entries gone, and the time.
func (m *Memory) lock(ctx context.Context) (now time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return 0, ErrClosed
	}
	// The clock is read under the lock, so that time never runs backwards between calls.
	now = m.elapsed()
	m.reclaim(now, reclaimBatch)
	return now, nil
}

// unlock leaves a call, and warns when it has made the store 80% full.
func (m *Memory) unlock() {
	n, limit := m.len(), m.max
	full := n >= limit-limit/5
	warn := full && !m.warned
	m.warned = full
	m.mu.Unlock()
	if warn && m.warn != nil {
		m.warn(n, limit)
	}
}

func (m *Memory) elapsed() time.Duration { return m.now().Sub(m.start) }

// room reports whether n more entries fit, once all that has expired is gone.
func (m *Memory) room(n int, now time.Duration) bool {
	over := func() int { return m.len() + n - m.max }
	if n > 0 && over() > 0 {
		m.reclaim(now, over())
	}
	return n == 0 || over() <= 0
}
