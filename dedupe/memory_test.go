package dedupe_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/storetest"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_700_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) storetest.Bench {
		c := newClock()
		m := dedupe.NewMemory(dedupe.MemoryOptions{Now: c.Now})
		const short = time.Second
		return storetest.Bench{
			Open:  func(*testing.T) dedupe.Store { return m },
			Short: short,
			Lapse: func(*testing.T, ...dedupe.Key) { c.Advance(short) },
		}
	})
}

const ttl = time.Hour

func TestMemoryIsBoundedByEntries(t *testing.T) {
	t.Parallel()
	m, _ := newMemory(4)
	claim(t, m, pair(1), nil)
	claim(t, m, pair(2), nil)
	claim(t, m, pair(3), dedupe.ErrFull)
	claim(t, m, single(3), dedupe.ErrFull)
	if n := m.Len(); n != 4 {
		t.Fatalf("%d entries, want 4", n)
	}

	// What is known needs no room: the same claim again, a copy, a commit.
	claim(t, m, pair(1), nil)
	commit(t, m, pair(1))
	commit(t, m, pair(2))
	claim(t, m, pair(2), nil)
	if n := m.Len(); n != 4 {
		t.Fatalf("%d entries after the commits, want 4", n)
	}
}

func TestMemoryNeedsRoomForBothKeys(t *testing.T) {
	t.Parallel()
	m, _ := newMemory(3)
	claim(t, m, pair(1), nil)
	claim(t, m, pair(2), dedupe.ErrFull)
	if n := m.Len(); n != 2 {
		t.Fatalf("%d entries, want 2: a refused claim left one behind", n)
	}
	claim(t, m, single(2), nil)
}

func TestMemoryFullClaimGivesBackItsOtherKey(t *testing.T) {
	t.Parallel()
	m, _ := newMemory(1)
	tok, ev := dedupe.NewToken(), pair(1)
	half := dedupe.Event{Content: ev.Content}
	if _, err := m.Claim(t.Context(), half, tok, ttl); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Claim(t.Context(), ev, tok, ttl); !errors.Is(err, dedupe.ErrFull) {
		t.Fatalf("claim: %v, want ErrFull", err)
	}
	claim(t, m, half, nil)
}

func TestMemoryStoresASuccessBeyondTheBound(t *testing.T) {
	t.Parallel()
	m, c := newMemory(2)
	claim(t, m, pair(1), nil)
	c.Advance(ttl)
	claim(t, m, pair(2), nil) // takes the room of the claim that lapsed
	commit(t, m, pair(1))
	if n := m.Len(); n != 4 {
		t.Fatalf("%d entries, want 4", n)
	}
	for i := 1; i <= 2; i++ {
		rec, err := m.Lookup(t.Context(), pair(byte(i)).ID)
		if err != nil || rec.State == dedupe.Absent {
			t.Errorf("event %d: %+v, %v: an unexpired entry was dropped", i, rec, err)
		}
	}
	claim(t, m, pair(3), dedupe.ErrFull)
}

func TestMemoryReclaimsWhatHasExpired(t *testing.T) {
	t.Parallel()
	const n = 1000
	m, c := newMemory(n)
	// Expiries in no order, as leases and times to live of many providers are.
	for i := range n {
		ev := dedupe.Event{ID: dedupe.NewKey("id", fmt.Append(nil, i))}
		age := time.Duration(1+i*7919%n) * time.Second
		if err := m.Commit(t.Context(), ev, 200, age); err != nil {
			t.Fatal(err)
		}
	}
	claim(t, m, single(1), dedupe.ErrFull)
	for passed := range n {
		if live := settledLen(m); live != n-passed {
			t.Fatalf("%d entries after %d s, want %d", live, passed, n-passed)
		}
		c.Advance(time.Second)
	}
	if live := settledLen(m); live != 0 {
		t.Fatalf("%d entries are left", live)
	}
}

func TestMemoryMakesRoomAtOnceWhenAllHasExpired(t *testing.T) {
	t.Parallel()
	const n = 10_000 // far more than one call reclaims on its way
	m, c := newMemory(n)
	for i := range n {
		claim(t, m, dedupe.Event{ID: dedupe.NewKey("id", fmt.Append(nil, i))}, nil)
	}
	c.Advance(ttl)
	// Not reclaimed yet, and gone all the same.
	for i := 0; i < n; i += n / 10 {
		id := dedupe.NewKey("id", fmt.Append(nil, i))
		if rec, err := m.Lookup(t.Context(), id); err != nil || rec.State != dedupe.Absent {
			t.Fatalf("entry %d at its end: %+v, %v", i, rec, err)
		}
	}
	m.SetMaxEntries(2)
	claim(t, m, pair(1), nil)
	claim(t, m, pair(2), dedupe.ErrFull)
}

func TestMemoryWarnsWhenItFillsUp(t *testing.T) {
	t.Parallel()
	c := newClock()
	var warned []int
	var m *dedupe.Memory
	m = dedupe.NewMemory(dedupe.MemoryOptions{MaxEntries: 10, Now: c.Now, Warn: func(entries, limit int) {
		warned = append(warned, entries, limit, m.Len()) // Len would hang if the lock were held
	}})
	want := func(step string, numbers ...int) {
		t.Helper()
		if !slices.Equal(warned, numbers) {
			t.Fatalf("%s: warnings are %v, want %v", step, warned, numbers)
		}
		warned = nil
	}
	for i := range 3 {
		claim(t, m, pair(byte(i)), nil)
	}
	claim(t, m, single(10), nil)
	want("7 of 10")
	claim(t, m, single(11), nil)
	want("8 of 10", 8, 10, 8)
	claim(t, m, pair(20), nil)
	claim(t, m, pair(21), dedupe.ErrFull)
	want("full: it has been said")

	m.SetMaxEntries(20)
	want("10 of 20")
	m.SetMaxEntries(12)
	want("10 of 12", 10, 12, 10)
	c.Advance(ttl)
	m.Len()
	want("all expired")
	for i := range 5 {
		claim(t, m, pair(byte(i)), nil)
	}
	want("10 of 12 once more", 10, 12, 10)
}

func TestMemoryBoundHasADefault(t *testing.T) {
	t.Parallel()
	m, _ := newMemory(0)
	for i := range 2000 {
		claim(t, m, dedupe.Event{ID: dedupe.NewKey("id", fmt.Append(nil, i))}, nil)
	}
	m.SetMaxEntries(1)
	claim(t, m, single(1), dedupe.ErrFull)
	m.SetMaxEntries(0)
	claim(t, m, single(1), nil)
}

func TestMemoryUsesTheRealClockByDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := dedupe.NewMemory(dedupe.MemoryOptions{})
		claim(t, m, single(1), nil)
		time.Sleep(ttl - 1)
		if rec, err := m.Lookup(t.Context(), single(1).ID); err != nil || rec.TTL != 1 {
			t.Fatalf("just before the end: %+v, %v", rec, err)
		}
		time.Sleep(time.Nanosecond)
		if rec, err := m.Lookup(t.Context(), single(1).ID); err != nil || rec.State != dedupe.Absent {
			t.Fatalf("at the end: %+v, %v", rec, err)
		}
	})
}

func newMemory(limit int) (*dedupe.Memory, *clock) {
	c := newClock()
	return dedupe.NewMemory(dedupe.MemoryOptions{MaxEntries: limit, Now: c.Now}), c
}

// pair and single are events with two keys and one, the same for the same n.
func pair(n byte) dedupe.Event {
	return dedupe.Event{Content: dedupe.NewKey("content", []byte{n}), ID: dedupe.NewKey("id", []byte{n})}
}

func single(n byte) dedupe.Event {
	return dedupe.Event{ID: dedupe.NewKey("single", []byte{n})}
}

func claim(t *testing.T, m dedupe.Store, ev dedupe.Event, want error) {
	t.Helper()
	if _, err := m.Claim(t.Context(), ev, dedupe.NewToken(), ttl); !errors.Is(err, want) {
		t.Fatalf("claim: %v, want %v", err, want)
	}
}

func commit(t *testing.T, m dedupe.Store, ev dedupe.Event) {
	t.Helper()
	if err := m.Commit(t.Context(), ev, 200, ttl); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// settledLen returns the length once every expired entry is reclaimed.
func settledLen(m *dedupe.Memory) int {
	for n := m.Len(); ; {
		next := m.Len()
		if next == n {
			return n
		}
		n = next
	}
}

// The bound on entries is one on bytes: an entry is of one size, whatever its ID was.
// The figure stands in the documentation of max_entries.
func TestMemoryPerEntry(t *testing.T) { // alone, as it looks at the heap of the whole process
	const bound = 110
	for n := 100_000; n <= 200_000; n += 20_000 { // over a doubling, where tables are the emptiest
		keys := make([]dedupe.Event, n)
		for i := range keys {
			keys[i].ID = dedupe.Key(dedupe.NewToken())
		}
		before := heap()
		m, _ := newMemory(n)
		for i := range keys {
			commit(t, m, keys[i])
		}
		if per := (heap() - before) / uint64(n); per > bound {
			t.Errorf("%d bytes per entry with %d of them, want at most %d", per, n, bound)
		} else {
			t.Logf("%d bytes per entry with %d of them", per, n)
		}
		if m.Len() != n {
			t.Fatalf("%d entries", m.Len())
		}
		runtime.KeepAlive(keys)
	}
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
