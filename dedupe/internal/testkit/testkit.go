// Package testkit is what the tests of several stores share.
package testkit

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

const (
	// TTL is a lease or time to live that does not end by itself within a test.
	TTL = time.Hour
	// Patient is a deadline for tests that are not about deadlines, on busy machines.
	Patient = 3 * time.Minute
)

// Clock is a clock that tests move.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands still, at the same time for every test.
func NewClock() *Clock { return &Clock{now: time.Unix(1_700_000_000, 0)} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock, back where d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Pair returns an event with two keys, the same for the same n.
func Pair(n byte) dedupe.Event {
	return dedupe.Event{Content: dedupe.NewKey("content", []byte{n}), ID: dedupe.NewKey("id", []byte{n})}
}

// Single returns an event with one key, the same for the same n.
func Single(n byte) dedupe.Event {
	return dedupe.Event{ID: dedupe.NewKey("single", []byte{n})}
}

// Numbered returns an event with two keys, the same for the same n.
func Numbered(n int) dedupe.Event {
	return dedupe.Event{Content: dedupe.NewKey("content", fmt.Append(nil, n)), ID: dedupe.NewKey("id", fmt.Append(nil, n))}
}

// Random returns an event with two keys that no other event has.
func Random() dedupe.Event {
	return dedupe.Event{Content: dedupe.Key(dedupe.NewToken()), ID: dedupe.Key(dedupe.NewToken())}
}

// Claim claims ev under a token of its own, and checks the error.
func Claim(t *testing.T, s dedupe.Store, ev dedupe.Event, want error) {
	t.Helper()
	if _, err := s.Claim(t.Context(), ev, dedupe.NewToken(), TTL); !errors.Is(err, want) {
		t.Fatalf("claim: %v, want %v", err, want)
	}
}

// Commit commits ev, which must succeed.
func Commit(t *testing.T, s dedupe.Store, ev dedupe.Event) {
	t.Helper()
	if err := s.Commit(t.Context(), ev, dedupe.Success{Status: 200}, TTL); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// WantState checks the state of a key and returns its record.
func WantState(t *testing.T, s dedupe.Store, k dedupe.Key, want dedupe.State) dedupe.Record {
	t.Helper()
	rec, err := s.Lookup(t.Context(), k)
	if err != nil || rec.State != want {
		t.Fatalf("key %s is %+v, %v, want %s", k, rec, err, want)
	}
	return rec
}

// WantWords checks that an error has each of the words.
func WantWords(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("error %v does not say %q", err, word)
		}
	}
}

// Spread runs f b.N times on the given number of goroutines.
func Spread(b *testing.B, callers int, f func() error) {
	var todo atomic.Int64
	todo.Store(int64(b.N))
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for todo.Add(-1) >= 0 {
				if err := f(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// Settle claims and commits a random event, the app taking its time in between.
func Settle(b *testing.B, s dedupe.Store, app time.Duration) error {
	ev := Random()
	if a, err := s.Claim(b.Context(), ev, dedupe.NewToken(), 10*time.Second); err != nil || a.State != dedupe.Claimed {
		return fmt.Errorf("claim: %+v, %w", a, err)
	}
	if app > 0 {
		time.Sleep(app)
	}
	return s.Commit(b.Context(), ev, dedupe.Success{Status: 200}, TTL)
}
