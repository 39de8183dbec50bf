package memory_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/memory"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/storetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) storetest.Bench {
		c := testkit.NewClock()
		m := memory.New(memory.Options{Now: c.Now})
		const short = time.Second
		return storetest.Bench{
			Open:  func(*testing.T) dedupe.Store { return m },
			Short: short,
			Lapse: func(*testing.T, ...dedupe.Key) { c.Advance(short) },
		}
	})
}

func TestMemoryIsBoundedByEntries(t *testing.T) {
	t.Parallel()
	m, _ := newMemory(4)
	testkit.Claim(t, m, testkit.Pair(1), nil)
	testkit.Claim(t, m, testkit.Pair(2), nil)
	testkit.Claim(t, m, testkit.Pair(3), dedupe.ErrFull)
	testkit.Claim(t, m, testkit.Single(3), dedupe.ErrFull)
	if n := m.Len(); n != 4 {
		t.Fatalf("%d entries, want 4", n)
	}

	// What is known needs no room: the same claim again, a copy, a commit.
	testkit.Claim(t, m, testkit.Pair(1), nil)
	testkit.Commit(t, m, testkit.Pair(1))
	testkit.Commit(t, m, testkit.Pair(2))
	testkit.Claim(t, m, testkit.Pair(2), nil)
	if n := m.Len(); n != 4 {
		t.Fatalf("%d entries after the commits, want 4", n)
	}
}

func TestMemoryNeedsRoomForBothKeys(t *testing.T) {
	t.Parallel()
	m, _ := newMemory(3)
	testkit.Claim(t, m, testkit.Pair(1), nil)
	testkit.Claim(t, m, testkit.Pair(2), dedupe.ErrFull)
	if n := m.Len(); n != 2 {
		t.Fatalf("%d entries, want 2: a refused claim left one behind", n)
	}
	testkit.Claim(t, m, testkit.Single(2), nil)
}

func TestMemoryFullClaimGivesBackItsOtherKey(t *testing.T) {
	t.Parallel()
	m, _ := newMemory(1)
	tok, ev := dedupe.NewToken(), testkit.Pair(1)
	half := dedupe.Event{Content: ev.Content}
	if _, err := m.Claim(t.Context(), half, tok, testkit.TTL); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Claim(t.Context(), ev, tok, testkit.TTL); !errors.Is(err, dedupe.ErrFull) {
		t.Fatalf("claim: %v, want ErrFull", err)
	}
	testkit.Claim(t, m, half, nil)
}

func TestMemoryStoresASuccessBeyondTheBound(t *testing.T) {
	t.Parallel()
	m, c := newMemory(2)
	testkit.Claim(t, m, testkit.Pair(1), nil)
	c.Advance(testkit.TTL)
	testkit.Claim(t, m, testkit.Pair(2), nil) // takes the room of the claim that lapsed
	testkit.Commit(t, m, testkit.Pair(1))
	if n := m.Len(); n != 4 {
		t.Fatalf("%d entries, want 4", n)
	}
	for i := 1; i <= 2; i++ {
		rec, err := m.Lookup(t.Context(), testkit.Pair(byte(i)).ID)
		if err != nil || rec.State == dedupe.Absent {
			t.Errorf("event %d: %+v, %v: an unexpired entry was dropped", i, rec, err)
		}
	}
	testkit.Claim(t, m, testkit.Pair(3), dedupe.ErrFull)
}

func TestMemoryReclaimsWhatHasExpired(t *testing.T) {
	t.Parallel()
	const n = 1000
	m, c := newMemory(n)
	// Expiries in no order, as leases and times to live of many providers are.
	for i := range n {
		ev := dedupe.Event{ID: dedupe.NewKey("id", fmt.Append(nil, i))}
		age := time.Duration(1+i*7919%n) * time.Second
		if err := m.Commit(t.Context(), ev, dedupe.Success{Status: 200}, age); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Claim(t, m, testkit.Single(1), dedupe.ErrFull)
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
		testkit.Claim(t, m, dedupe.Event{ID: dedupe.NewKey("id", fmt.Append(nil, i))}, nil)
	}
	c.Advance(testkit.TTL)
	// Not reclaimed yet, and gone all the same.
	for i := 0; i < n; i += n / 10 {
		id := dedupe.NewKey("id", fmt.Append(nil, i))
		if rec, err := m.Lookup(t.Context(), id); err != nil || rec.State != dedupe.Absent {
			t.Fatalf("entry %d at its end: %+v, %v", i, rec, err)
		}
	}
	m.SetMaxEntries(2)
	testkit.Claim(t, m, testkit.Pair(1), nil)
	testkit.Claim(t, m, testkit.Pair(2), dedupe.ErrFull)
}

func TestMemoryWarnsWhenItFillsUp(t *testing.T) {
	t.Parallel()
	c := testkit.NewClock()
	var warned []int
	var m *memory.Store
	m = memory.New(memory.Options{MaxEntries: 10, Now: c.Now, Warn: func(entries, limit int) {
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
		testkit.Claim(t, m, testkit.Pair(byte(i)), nil)
	}
	testkit.Claim(t, m, testkit.Single(10), nil)
	want("7 of 10")
	testkit.Claim(t, m, testkit.Single(11), nil)
	want("8 of 10", 8, 10, 8)
	testkit.Claim(t, m, testkit.Pair(20), nil)
	testkit.Claim(t, m, testkit.Pair(21), dedupe.ErrFull)
	want("full: it has been said")

	m.SetMaxEntries(20)
	want("10 of 20")
	m.SetMaxEntries(12)
	want("10 of 12", 10, 12, 10)
	c.Advance(testkit.TTL)
	m.Len()
	want("all expired")
	for i := range 5 {
		testkit.Claim(t, m, testkit.Pair(byte(i)), nil)
	}
	want("10 of 12 once more", 10, 12, 10)
}

func TestMemoryBoundHasADefault(t *testing.T) {
	t.Parallel()
	m, _ := newMemory(0)
	for i := range 2000 {
		testkit.Claim(t, m, dedupe.Event{ID: dedupe.NewKey("id", fmt.Append(nil, i))}, nil)
	}
	m.SetMaxEntries(1)
	testkit.Claim(t, m, testkit.Single(1), dedupe.ErrFull)
	m.SetMaxEntries(0)
	testkit.Claim(t, m, testkit.Single(1), nil)
}

func TestMemoryUsesTheRealClockByDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memory.New(memory.Options{})
		testkit.Claim(t, m, testkit.Single(1), nil)
		time.Sleep(testkit.TTL - 1)
		if rec, err := m.Lookup(t.Context(), testkit.Single(1).ID); err != nil || rec.TTL != 1 {
			t.Fatalf("just before the end: %+v, %v", rec, err)
		}
		time.Sleep(time.Nanosecond)
		if rec, err := m.Lookup(t.Context(), testkit.Single(1).ID); err != nil || rec.State != dedupe.Absent {
			t.Fatalf("at the end: %+v, %v", rec, err)
		}
	})
}

func newMemory(limit int) (*memory.Store, *testkit.Clock) {
	c := testkit.NewClock()
	return memory.New(memory.Options{MaxEntries: limit, Now: c.Now}), c
}

// settledLen returns the length once every expired entry is reclaimed.
func settledLen(m *memory.Store) int {
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
			testkit.Commit(t, m, keys[i])
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

// Replies count against the bound by their size, and give their room back.
func TestMemoryCountsReplies(t *testing.T) {
	t.Parallel()
	m, c := newMemory(10)
	reply := dedupe.Success{Status: 200, Reply: dedupe.Reply{Body: strings.Repeat("x", 700)}}
	if err := m.Commit(t.Context(), testkit.Single(1), reply, testkit.TTL); err != nil {
		t.Fatal(err)
	}
	testkit.Claim(t, m, testkit.Single(2), nil)
	testkit.Claim(t, m, testkit.Single(3), nil)
	testkit.Claim(t, m, testkit.Single(4), dedupe.ErrFull)
	c.Advance(testkit.TTL)
	for n := byte(10); n < 20; n++ {
		testkit.Claim(t, m, testkit.Single(n), nil)
	}
}

// The texts of IDs count by the room that they take, and give it back.
func TestMemoryCountsIDTexts(t *testing.T) {
	t.Parallel()
	m, c := newMemory(10)
	long := dedupe.Success{Status: 200, IDText: strings.Repeat("x", dedupe.MaxIDText)}
	for round := range 20 {
		for n := byte(1); n <= 3; n++ { // two keys, and a text in the room of more than one
			testkit.Claim(t, m, testkit.Pair(n), nil)
			if err := m.Commit(t.Context(), testkit.Pair(n), long, testkit.TTL); err != nil {
				t.Fatal(err)
			}
		}
		testkit.Claim(t, m, testkit.Pair(4), dedupe.ErrFull)
		testkit.WantState(t, m, testkit.Pair(1).Content, dedupe.Done)
		if _, err := m.Forget(t.Context(), testkit.Pair(byte(1+round%3)).ID); err != nil {
			t.Fatal(err)
		}
		testkit.Claim(t, m, testkit.Pair(4), nil)
		c.Advance(testkit.TTL)
		for n := byte(10); n < 20; n++ {
			testkit.Claim(t, m, testkit.Single(n), nil)
		}
		testkit.Claim(t, m, testkit.Single(20), dedupe.ErrFull)
		c.Advance(testkit.TTL)
	}
}
