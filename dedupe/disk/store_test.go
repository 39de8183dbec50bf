package disk_test

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
	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/storetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func TestDisk(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Bench {
		c := testkit.NewClock()
		d := openDiskWith(t, disk.Options{Dir: t.TempDir(), Now: c.Now}.WithLog(512<<10, nil))
		const short = time.Second
		return storetest.Bench{
			Open:  func(*testing.T) dedupe.Store { return d },
			Short: short,
			Lapse: func(*testing.T, ...dedupe.Key) { c.Advance(short) },
		}
	})
}

// openDisk opens a store that the test's end closes. Its log files are small: many tests
// make or copy them many times.
func openDisk(t testing.TB, dir string, c *testkit.Clock) *disk.Store {
	t.Helper()
	return openDiskWith(t, disk.Options{Dir: dir, Now: c.Now}.WithLog(32<<10, nil))
}

func openDiskWith(t testing.TB, o disk.Options) *disk.Store {
	t.Helper()
	d, err := disk.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeDisk(t, d) })
	return d
}

func closeDisk(t testing.TB, d *disk.Store) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestDiskRemembersAcrossRestarts(t *testing.T) {
	t.Parallel()
	// A directory that is not there yet, under one that is not there either.
	dir, c := filepath.Join(t.TempDir(), "a", "b"), testkit.NewClock()
	d := openDisk(t, dir, c)
	testkit.Commit(t, d, testkit.Pair(1))
	testkit.Claim(t, d, testkit.Pair(2), nil)
	closeDisk(t, d)

	c.Advance(testkit.TTL / 2)
	d = openDisk(t, dir, c)
	rec := testkit.WantState(t, d, testkit.Pair(1).ID, dedupe.Done)
	if rec.Status != 200 || rec.Content != testkit.Pair(1).Content || rec.TTL != testkit.TTL/2 {
		t.Errorf("the record is %+v, want status 200, its content and %s left", rec, testkit.TTL/2)
	}
	// Nobody works on the claims of the process before.
	testkit.WantState(t, d, testkit.Pair(2).ID, dedupe.Absent)
	testkit.Claim(t, d, testkit.Pair(2), nil)
	closeDisk(t, d)

	c.Advance(testkit.TTL / 2)
	d = openDisk(t, dir, c)
	testkit.WantState(t, d, testkit.Pair(1).ID, dedupe.Absent)
	testkit.Claim(t, d, testkit.Pair(1), nil)
}

// A clock that was wrong and is set back forgets nothing: the times to live get longer.
func TestDiskForgetsNothingWhenTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	d := openDisk(t, dir, c)
	testkit.Commit(t, d, testkit.Pair(1))
	c.Advance(-time.Hour)
	testkit.WantState(t, d, testkit.Pair(1).ID, dedupe.Done)
	closeDisk(t, d)
	d = openDisk(t, dir, c)
	testkit.WantState(t, d, testkit.Pair(1).Content, dedupe.Done)
	c.Advance(testkit.TTL)
	testkit.WantState(t, d, testkit.Pair(1).ID, dedupe.Done)
	c.Advance(time.Hour)
	testkit.WantState(t, d, testkit.Pair(1).ID, dedupe.Absent)
}

func TestDiskIsForOneOpenerAtATime(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	d := openDisk(t, dir, c)
	testkit.Commit(t, d, testkit.Pair(1))
	_, err := disk.Open(disk.Options{Dir: dir})
	testkit.WantWords(t, err, dir, "in use", "store disk <dir>", "store redis <url>", "store memory")
	closeDisk(t, d)
	d = openDisk(t, dir, c)
	testkit.WantState(t, d, testkit.Pair(1).ID, dedupe.Done)
}

// Many open one directory that is not there yet, all at once: one gets it, and nobody
// takes the place of its file.
func TestDiskIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	var all sync.WaitGroup
	var mu sync.Mutex
	var opened []*disk.Store
	for range 8 {
		all.Go(func() {
			d, err := disk.Open(disk.Options{Dir: dir})
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
	testkit.Commit(t, opened[0], testkit.Pair(1))
	closeDisk(t, opened[0])
	testkit.WantState(t, openDisk(t, dir, testkit.NewClock()), testkit.Pair(1).ID, dedupe.Done)
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
	dir, c := t.TempDir(), testkit.NewClock()
	const perHour, hours = 1000, 16 // each lives for an hour
	// Journals with room for about 200 of them.
	d := openDiskWith(t, disk.Options{Dir: dir, Now: c.Now}.WithLog(16<<10, nil))
	n := 0
	var sizes []int64
	for range hours {
		for range perHour / 50 {
			var callers sync.WaitGroup
			for range 50 {
				ev := testkit.Numbered(n)
				n++
				callers.Go(func() {
					if err := d.Commit(t.Context(), ev, dedupe.Success{Status: 200}, testkit.TTL); err != nil {
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
	c.Advance(testkit.TTL)
	testbed.Eventually(t, testkit.Patient, func() bool { return d.Records() == 0 }, "everything to be reclaimed")
}

// gate stands before the log files: while it is shut, the disk hangs, and while it fails,
// the disk takes no writes.
type gate struct {
	mu      sync.Mutex // held while it is shut
	syncs   atomic.Int64
	waiting atomic.Int64
	failing atomic.Bool
}

var errFailing = errors.New("the disk fails")

func (g *gate) wrap(f disk.LogFile) disk.LogFile { return gated{f, g} }

// shut keeps the writer at its next write until the gate is opened.
func (g *gate) shut(t *testing.T) (open func()) {
	g.mu.Lock()
	open = sync.OnceFunc(g.mu.Unlock)
	t.Cleanup(open)
	return open
}

type gated struct {
	disk.LogFile
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
	return f.LogFile.SyncData()
}

// Concurrent commits share syncs.
func TestDiskCommitsShareSyncs(t *testing.T) {
	t.Parallel()
	g := new(gate)
	d := openDiskWith(t, disk.Options{Dir: t.TempDir()}.WithLog(0, g.wrap))
	if !d.Syncs() {
		t.Error("transactions are not synced at all")
	}
	open := g.shut(t) // so that all of them come in meanwhile
	const n = 100
	committed := make(chan error, n)
	start := func(i int) {
		go func() {
			committed <- d.Commit(context.Background(), testkit.Numbered(i), dedupe.Success{Status: 200}, testkit.TTL)
		}()
	}
	start(0)
	testbed.Eventually(t, testkit.Patient, func() bool { return g.waiting.Load() == 1 }, "the first one's sync")
	for i := 1; i < n; i++ {
		start(i)
	}
	testbed.Eventually(t, testkit.Patient, func() bool { return d.Queued() == n-1 }, "commits in the queue")
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
		testkit.WantState(t, d, testkit.Numbered(i).ID, dedupe.Done)
	}
}

// Close in the midst of calls: each of them ends as if it had come before or after.
func TestDiskClosesUnderLoad(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	for round := range 10 {
		d := openDisk(t, dir, c)
		var callers sync.WaitGroup
		var mu sync.Mutex
		var done []dedupe.Event
		for caller := range 8 {
			callers.Go(func() {
				for n := 0; ; n++ {
					ev := testkit.Numbered(round*1_000_000 + caller*100_000 + n)
					_, err := d.Claim(t.Context(), ev, dedupe.NewToken(), testkit.TTL)
					if err == nil {
						err = d.Commit(t.Context(), ev, dedupe.Success{Status: 200}, testkit.TTL)
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
		testbed.Eventually(t, testkit.Patient, func() bool { mu.Lock(); defer mu.Unlock(); return len(done) > 10 }, "some commits")
		closeDisk(t, d)
		callers.Wait()
		d = openDisk(t, dir, c)
		for _, ev := range done {
			testkit.WantState(t, d, ev.ID, dedupe.Done)
		}
		closeDisk(t, d)
	}
}

// A disk that hangs is one that fails, as far as its callers are concerned.
func TestDiskThatHangsFailsItsCallersUntilItIsBack(t *testing.T) {
	t.Parallel()
	dir, g := t.TempDir(), new(gate)
	d := openDiskWith(t, disk.Options{Dir: dir}.WithLog(0, g.wrap))
	d.SetWaitBudget(50 * time.Millisecond)
	open := g.shut(t)
	err := d.Commit(t.Context(), testkit.Pair(1), dedupe.Success{Status: 200}, testkit.TTL)
	testkit.WantWords(t, err, dir, "has not taken a write")
	testkit.WantState(t, d, testkit.Pair(1).ID, dedupe.Absent) // written, and not synced
	if _, err := d.Claim(t.Context(), testkit.Pair(2), dedupe.NewToken(), testkit.TTL); err == nil {
		t.Error("an event was let through that could not be remembered")
	}
	open()
	testbed.Eventually(t, testkit.Patient, func() bool {
		_, err := d.Claim(t.Context(), testkit.Pair(2), dedupe.NewToken(), testkit.TTL)
		return err == nil
	}, "the store to be back by itself")
	testkit.WantState(t, d, testkit.Pair(1).ID, dedupe.Done)
}
