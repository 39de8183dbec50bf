package dedupe_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/storetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func TestDisk(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Bench {
		c := newClock()
		d := openDisk(t, t.TempDir(), c)
		const short = time.Second
		return storetest.Bench{
			Open:  func(*testing.T) dedupe.Store { return d },
			Short: short,
			Lapse: func(*testing.T, ...dedupe.Key) { c.Advance(short) },
		}
	})
}

// openDisk opens a store that the test's end closes.
func openDisk(t testing.TB, dir string, c *clock) *dedupe.Disk {
	t.Helper()
	return openDiskWith(t, dedupe.DiskOptions{Dir: dir, Now: c.Now})
}

func openDiskWith(t testing.TB, o dedupe.DiskOptions) *dedupe.Disk {
	t.Helper()
	d, err := dedupe.OpenDisk(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeDisk(t, d) })
	return d
}

func closeDisk(t testing.TB, d *dedupe.Disk) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func wantState(t *testing.T, s dedupe.Store, k dedupe.Key, want dedupe.State) dedupe.Record {
	t.Helper()
	rec, err := s.Lookup(t.Context(), k)
	if err != nil || rec.State != want {
		t.Fatalf("key %s is %+v, %v, want %s", k, rec, err, want)
	}
	return rec
}

func TestDiskRemembersAcrossRestarts(t *testing.T) {
	t.Parallel()
	// A directory that is not there yet, under one that is not there either.
	dir, c := filepath.Join(t.TempDir(), "a", "b"), newClock()
	d := openDisk(t, dir, c)
	commit(t, d, pair(1))
	claim(t, d, pair(2), nil)
	closeDisk(t, d)

	c.Advance(ttl / 2)
	d = openDisk(t, dir, c)
	rec := wantState(t, d, pair(1).ID, dedupe.Done)
	if rec.Status != 200 || rec.Content != pair(1).Content || rec.TTL != ttl/2 {
		t.Errorf("the record is %+v, want status 200, its content and %s left", rec, ttl/2)
	}
	// Nobody works on the claims of the process before.
	wantState(t, d, pair(2).ID, dedupe.Absent)
	claim(t, d, pair(2), nil)
	closeDisk(t, d)

	c.Advance(ttl / 2)
	d = openDisk(t, dir, c)
	wantState(t, d, pair(1).ID, dedupe.Absent)
	claim(t, d, pair(1), nil)
}

// A clock that was wrong and is set back forgets nothing: the times to live get longer.
func TestDiskForgetsNothingWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	d := openDisk(t, dir, c)
	commit(t, d, pair(1))
	c.Advance(-time.Hour)
	wantState(t, d, pair(1).ID, dedupe.Done)
	closeDisk(t, d)
	d = openDisk(t, dir, c)
	wantState(t, d, pair(1).Content, dedupe.Done)
	c.Advance(ttl)
	wantState(t, d, pair(1).ID, dedupe.Done)
	c.Advance(time.Hour)
	wantState(t, d, pair(1).ID, dedupe.Absent)
}

func TestDiskIsForOneOpenerAtATime(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	d := openDisk(t, dir, c)
	commit(t, d, pair(1))
	_, err := dedupe.OpenDisk(dedupe.DiskOptions{Dir: dir})
	wantWords(t, err, dir, "in use", "store disk <dir>", "store redis <url>", "store memory")
	closeDisk(t, d)
	d = openDisk(t, dir, c)
	wantState(t, d, pair(1).ID, dedupe.Done)
}

func wantWords(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("error %v does not say %q", err, word)
		}
	}
}

// Many open one directory that is not there yet, all at once: one gets it, and nobody
// takes the place of its file.
func TestDiskIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	var all sync.WaitGroup
	var mu sync.Mutex
	var opened []*dedupe.Disk
	for range 8 {
		all.Go(func() {
			d, err := dedupe.OpenDisk(dedupe.DiskOptions{Dir: dir})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				opened = append(opened, d)
			} else if !strings.Contains(err.Error(), "in use") {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(opened) != 1 {
		t.Fatalf("%d have the directory, want 1", len(opened))
	}
	commit(t, opened[0], pair(1))
	closeDisk(t, opened[0])
	wantState(t, openDisk(t, dir, newClock()), pair(1).ID, dedupe.Done)
	files, err := os.ReadDir(dir)
	var names []string
	for _, file := range files {
		names = append(names, file.Name())
	}
	if want := []string{"events.db", "journal-a", "journal-b"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("the directory has %v, %v, want %v", names, err, want)
	}
}

// Under a load that goes on, the file stops growing: what has expired makes room.
func TestDiskReachesASteadySize(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	const perHour, hours = 1000, 16 // each lives for an hour
	// Journals with room for about 200 of them.
	d := openDiskWith(t, dedupe.DiskOptions{Dir: dir, Now: c.Now}.WithJournals(16<<10, nil))
	n := 0
	var sizes []int64
	for range hours {
		for range perHour / 50 {
			var callers sync.WaitGroup
			for range 50 {
				ev := numbered(n)
				n++
				callers.Go(func() {
					if err := d.Commit(t.Context(), ev, 200, ttl); err != nil {
						t.Error(err)
					}
				})
			}
			callers.Wait()
			c.Advance(time.Hour / (perHour / 50))
		}
		info, err := os.Stat(filepath.Join(dir, "events.db"))
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	// It grows by doubling while it is small, and once more may be at any time, as the
	// free pages between the others are not always the same number.
	if sizes[hours-1] > 2*sizes[1] {
		t.Errorf("the file grows on: %v", sizes)
	}
	if held := d.Records(); held > 3*perHour*2 {
		t.Errorf("%d keys are held after %d hours of %d", held, hours, 2*perHour)
	}

	// Without load the rest goes too.
	c.Advance(ttl)
	testbed.Eventually(t, patient, func() bool { return d.Records() == 0 }, "everything to be reclaimed")
}

// gate stands before the journals: while it is shut, the disk hangs, and while it fails,
// the disk takes no writes.
type gate struct {
	mu      sync.Mutex // held while it is shut
	syncs   atomic.Int64
	waiting atomic.Int64
	failing atomic.Bool
}

var errFailing = errors.New("the disk fails")

func (g *gate) wrap(f dedupe.JournalFile) dedupe.JournalFile { return gated{f, g} }

// shut keeps the writer at its next write until the gate is opened.
func (g *gate) shut(t *testing.T) (open func()) {
	g.mu.Lock()
	open = sync.OnceFunc(g.mu.Unlock)
	t.Cleanup(open)
	return open
}

type gated struct {
	dedupe.JournalFile
	gate *gate
}

func (f gated) SyncData() error {
	f.gate.waiting.Add(1)
	f.gate.mu.Lock()
	f.gate.mu.Unlock() //nolint:staticcheck // it is only to be passed
	f.gate.waiting.Add(-1)
	f.gate.syncs.Add(1)
	if f.gate.failing.Load() {
		return errFailing
	}
	return f.JournalFile.SyncData()
}

// Concurrent commits share syncs.
func TestDiskCommitsShareSyncs(t *testing.T) {
	t.Parallel()
	g := new(gate)
	d := openDiskWith(t, dedupe.DiskOptions{Dir: t.TempDir()}.WithJournals(0, g.wrap))
	if !d.Syncs() {
		t.Error("transactions are not synced at all")
	}
	open := g.shut(t) // so that all of them come in meanwhile
	const n = 100
	committed := make(chan error, n)
	start := func(i int) {
		go func() { committed <- d.Commit(context.Background(), numbered(i), 200, ttl) }()
	}
	start(0)
	testbed.Eventually(t, patient, func() bool { return g.waiting.Load() == 1 }, "the first one's sync")
	for i := 1; i < n; i++ {
		start(i)
	}
	testbed.Eventually(t, patient, func() bool { return d.Queued() == n-1 }, "commits in the queue")
	open()
	for range n {
		if err := <-committed; err != nil {
			t.Fatal(err)
		}
	}
	// The one that was held, and one for all others.
	if used := g.syncs.Load(); used != 2 {
		t.Errorf("%d commits took %d syncs", n, used)
	}
	for i := range n {
		wantState(t, d, numbered(i).ID, dedupe.Done)
	}
}

// Close in the midst of calls: each of them ends as if it had come before or after.
func TestDiskClosesUnderLoad(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), newClock()
	for round := range 10 {
		d := openDisk(t, dir, c)
		var callers sync.WaitGroup
		var mu sync.Mutex
		var done []dedupe.Event
		for caller := range 8 {
			callers.Go(func() {
				for n := 0; ; n++ {
					ev := numbered(round*1_000_000 + caller*100_000 + n)
					_, err := d.Claim(t.Context(), ev, dedupe.NewToken(), ttl)
					if err == nil {
						err = d.Commit(t.Context(), ev, 200, ttl)
					}
					if err != nil {
						if !errors.Is(err, dedupe.ErrClosed) {
							t.Error(err)
						}
						return
					}
					mu.Lock()
					done = append(done, ev)
					mu.Unlock()
				}
			})
		}
		testbed.Eventually(t, patient, func() bool { mu.Lock(); defer mu.Unlock(); return len(done) > 10 }, "some commits")
		closeDisk(t, d)
		callers.Wait()
		d = openDisk(t, dir, c)
		for _, ev := range done {
			wantState(t, d, ev.ID, dedupe.Done)
		}
		closeDisk(t, d)
	}
}

// A disk that hangs is one that fails, as far as its callers are concerned.
func TestDiskThatHangsFailsItsCallersUntilItIsBack(t *testing.T) {
	t.Parallel()
	dir, g := t.TempDir(), new(gate)
	d := openDiskWith(t, dedupe.DiskOptions{Dir: dir}.WithJournals(0, g.wrap))
	d.SetPatience(50 * time.Millisecond)
	open := g.shut(t)
	err := d.Commit(t.Context(), pair(1), 200, ttl)
	wantWords(t, err, "commit", dir, "has not taken a write")
	wantState(t, d, pair(1).ID, dedupe.Absent) // written, and not synced
	if _, err := d.Claim(t.Context(), pair(2), dedupe.NewToken(), ttl); err == nil {
		t.Error("an event was let through that could not be remembered")
	}
	open()
	testbed.Eventually(t, patient, func() bool {
		_, err := d.Claim(t.Context(), pair(2), dedupe.NewToken(), ttl)
		return err == nil
	}, "the store to be back by itself")
	wantState(t, d, pair(1).ID, dedupe.Done)
}
