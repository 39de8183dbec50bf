package disk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/disk"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

var errFailing = errors.New("no space left on device")

// failing is a layer whose files fail for a while: to write, or to sync what was written.
type failing struct {
	disk.Layer
	writes, syncs *atomic.Bool
}

func (l failing) Create(path string) (disk.File, error) {
	if l.writes.Load() {
		return nil, errFailing
	}
	f, err := l.Layer.Create(path)
	return failingFile{f, l}, err
}

func (l failing) Open(path string) (disk.File, int64, error) {
	f, size, err := l.Layer.Open(path)
	return failingFile{f, l}, size, err
}

type failingFile struct {
	disk.File
	l failing
}

func (f failingFile) WriteAt(data []byte, at int64) (int, error) {
	if f.l.writes.Load() {
		n, _ := f.File.WriteAt(data[:len(data)/2], at)
		return n, errFailing
	}
	return f.File.WriteAt(data, at)
}

func (f failingFile) SyncData() error {
	if f.l.syncs.Load() {
		return errFailing
	}
	return f.File.SyncData()
}

// While the disk takes no writes, every step fails and changes nothing. Afterwards all goes on
// by itself, and nothing is lost.
func TestAFailingDiskRefusesAndChangesNothing(t *testing.T) {
	t.Parallel()
	for what, size := range map[string]int64{"in a segment": 1 << 20, "at its end": 600} {
		for _, syncs := range []bool{true, false} {
			clock, l := queuetest.NewClock(), failing{writes: new(atomic.Bool), syncs: new(atomic.Bool)}
			fails := l.writes
			if syncs {
				fails = l.syncs
			}
			o := disk.Options{Dir: t.TempDir(), Now: clock.Now}.WithSegments(size).WithLayer(func(below disk.Layer) disk.Layer {
				l.Layer = below
				return l
			})
			s := openDisk(t, o)
			q := queueOf(t, s, inbox.Options{KeepBodies: true})
			w := newWalker(t, 3, clock, 200)
			for range 40 {
				w.step(q)
			}
			if err := q.Pause(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			if _, err := q.Put(t.Context(), eventOf(1000, 10)); err != nil {
				t.Fatal(err)
			}
			before, segments := see(t, q), s.Segments()
			fails.Store(true)
			ctx, k := t.Context(), keyOf(1000)
			settle := func(o inbox.Outcome) error {
				return q.Settle(ctx, k, inbox.Token{}, inbox.Settlement{Outcome: o, Reason: "age"})
			}
			for what, do := range map[string]func() error{
				"put":    func() error { _, err := q.Put(ctx, eventOf(2000, 10)); return err },
				"take":   func() error { _, err := q.Take(ctx, 5, lease); return err },
				"settle": func() error { return settle(inbox.Success) },
				"delete": func() error { _, err := q.Delete(ctx, []inbox.Key{k}); return err },
				"pause":  func() error { return q.Pause(ctx, true) },
			} {
				if err := do(); !errors.Is(err, errFailing) || !strings.Contains(err.Error(), o.Dir) {
					t.Errorf("%s: %v, want the disk's error with the directory", what, err)
				}
			}
			if after := see(t, q); !reflect.DeepEqual(before, after) {
				t.Fatalf("%s: the failed steps changed %+v to %+v", what, before.status, after.status)
			}
			fails.Store(false)
			for range 60 {
				w.step(q)
			}
			if s.Segments() < segments {
				t.Errorf("%d of %d segments are left", s.Segments(), segments)
			}
			before = see(t, q)
			s.Crash(t)
			s = openDisk(t, o)
			if after := see(t, queueOf(t, s, inbox.Options{})); !reflect.DeepEqual(before, after) {
				t.Fatalf("%s: after a crash the status is %+v, want %+v", what, after.status, before.status)
			}
		}
	}
}

// filled makes a store with some events in two segments, and returns its directory and the
// paths of the segments.
func filled(t *testing.T) (o disk.Options, segments []string) {
	t.Helper()
	clock := queuetest.NewClock()
	o = disk.Options{Dir: t.TempDir(), Now: clock.Now}.WithSegments(2500)
	s := openDisk(t, o)
	q := queueOf(t, s, inbox.Options{})
	for n := range 8 {
		if _, err := q.Put(t.Context(), eventOf(n, 500)); err != nil {
			t.Fatal(err)
		}
	}
	s.Crash(t)
	segments, err := filepath.Glob(filepath.Join(o.Dir, "*.segment"))
	if err != nil || len(segments) != 2 {
		t.Fatal(segments, err)
	}
	return o, segments
}

// What a later version has written is whole: nobody is told to move it away.
func TestALaterVersionsInboxIsRefused(t *testing.T) {
	t.Parallel()
	o, _ := filled(t)
	path := filepath.Join(o.Dir, "inbox.db")
	setFormat := func(format string) {
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		put := func(tx *bolt.Tx) error { return tx.Bucket([]byte("about")).Put([]byte("format"), []byte(format)) }
		if err := errors.Join(db.Update(put), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	setFormat("3")
	_, err := disk.Open(o)
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "run the version that wrote it") || strings.Contains(err.Error(), "move") {
		t.Errorf("the error is %v", err)
	}
	setFormat("2") // which is what that version reads, with all events
	s, err := disk.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	closeDisk(t, s)
}

// What cannot be read any more is refused, with the place and the fix, where it was
// acknowledged once. A damaged envelope only costs its event.
func TestADamagedStore(t *testing.T) {
	t.Parallel()
	changed := func(path string, at int) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data[(at+len(data))%len(data)] ^= 0xff
		return os.WriteFile(path, data, 0o600)
	}
	for what, c := range map[string]struct {
		damage func(o disk.Options, segments []string) error
		words  []string // none: it opens
		dead   int
	}{
		"first segment missing":     {func(_ disk.Options, s []string) error { return os.Remove(s[0]) }, []string{"000000000001.segment", "missing", "put a copy"}, 0},
		"head of a segment changed": {func(_ disk.Options, s []string) error { return changed(s[0], 30) }, []string{"000000000001.segment", "no segment of this store"}, 0},
		"head of a batch changed":   {func(_ disk.Options, s []string) error { return changed(s[0], 64+9) }, []string{"damaged", "000000000002.segment"}, 0},
		"batch before others":       {func(_ disk.Options, s []string) error { return changed(s[1], 64+9) }, []string{"damaged", "follows it"}, 0},
		"envelope in the middle":    {func(_ disk.Options, s []string) error { return changed(s[0], 64+100) }, nil, 1},
		"envelope of the last one":  {func(_ disk.Options, s []string) error { return changed(s[1], 64+100) }, nil, 1},
		"database missing":          {func(o disk.Options, _ []string) error { return os.Remove(filepath.Join(o.Dir, "inbox.db")) }, []string{"inbox.db is missing", "put a copy"}, 0},
		"database empty":            {func(o disk.Options, _ []string) error { return os.Truncate(filepath.Join(o.Dir, "inbox.db"), 0) }, []string{"damaged", "put a copy"}, 0},
		"rest of a batch":           {func(_ disk.Options, s []string) error { return appendTo(s[1], bytes.Repeat([]byte("wgi1"), 300)) }, nil, 0},
		"cut in the last batch": {func(_ disk.Options, s []string) error {
			info, err := os.Stat(s[1])
			return errors.Join(err, os.Truncate(s[1], info.Size()-1))
		}, nil, -1}, // as after a crash in the middle of its write
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			o, segments := filled(t)
			if err := c.damage(o, segments); err != nil {
				t.Fatal(err)
			}
			s, err := disk.Open(o)
			if len(c.words) > 0 {
				if err == nil {
					_ = s.Close()
					t.Fatal("it opens")
				}
				for _, word := range append(c.words, o.Dir) {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("the error is %q, want %q in it", err, word)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer closeDisk(t, s)
			q := queueOf(t, s, inbox.Options{})
			b, err := q.Take(t.Context(), 100, lease)
			if err != nil {
				t.Fatal(err)
			}
			status, err := q.Status(t.Context())
			want := 8 - max(c.dead, -c.dead)
			if err != nil || len(b.Deliveries) != want || status.Reasons[inbox.Damaged] != int64(max(0, c.dead)) {
				t.Fatalf("%d events are given out and %v are dead, %v; want %d and %d", len(b.Deliveries), status.Reasons, err, want, c.dead)
			}
		})
	}
}

func appendTo(path string, data []byte) error {
	old, err := os.ReadFile(path)
	return errors.Join(err, os.WriteFile(path, slices.Concat(old, data), 0o600))
}

func TestASecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	o := disk.Options{Dir: t.TempDir()}
	openDisk(t, o)
	if _, err := disk.Open(o); err == nil || !strings.Contains(err.Error(), o.Dir+" is in use by another process") {
		t.Errorf("a second store opens, or says %v", err)
	}
}

// The store's time goes on where the machine's runs backwards, in a process and between two.
func TestTimeNeverRunsBackwards(t *testing.T) {
	t.Parallel()
	clock := queuetest.NewClock()
	o := disk.Options{Dir: t.TempDir(), Now: clock.Now}
	s := openDisk(t, o)
	q := queueOf(t, s, inbox.Options{})
	if _, err := q.Put(t.Context(), eventOf(1, 10)); err != nil {
		t.Fatal(err)
	}
	b, err := q.Take(t.Context(), 1, lease)
	if err != nil || len(b.Deliveries) != 1 {
		t.Fatal(err)
	}
	for range 2 {
		clock.Advance(-1000 * lease)
		s.Crash(t)
		s = openDisk(t, o)
		q = queueOf(t, s, inbox.Options{})
		if s, err := q.Status(t.Context()); err != nil || s.Now.Before(b.Now) || s.Leased != 1 {
			t.Fatalf("after the clock was set back the status is %+v, %v", s, err)
		}
	}
	clock.Advance(lease)
	if b, err := q.Take(t.Context(), 1, lease); err != nil || len(b.Deliveries) != 1 {
		t.Fatalf("a lease does not end after its time: %d events, %v", len(b.Deliveries), err)
	}
}

// Whatever a batch holds, what is read of it is what was written.
func FuzzBatch(f *testing.F) {
	for _, changes := range disk.SomeChanges() {
		f.Add(changes)
	}
	f.Fuzz(func(t *testing.T, changes []byte) {
		if again, ok := disk.Rewritten(changes); ok && !bytes.Equal(again, changes) {
			t.Errorf("%x was read, and is written as %x", changes, again)
		}
	})
}

// What is written to a file that somebody has removed or replaced would reach nobody: nothing
// is acknowledged any more, until the original is back.
func TestFilesThatAreTakenAway(t *testing.T) {
	t.Parallel()
	for what, path := range map[string]string{"directory": "", "database": "inbox.db", "segment": "000000000001.segment"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			o := disk.Options{Dir: filepath.Join(t.TempDir(), "inbox")}
			s := openDisk(t, o)
			q := queueOf(t, s, inbox.Options{})
			if _, err := q.Put(t.Context(), eventOf(1, 10)); err != nil {
				t.Fatal(err)
			}
			at := filepath.Join(o.Dir, path)
			if err := os.Rename(at, at+".away"); err != nil {
				t.Fatal(err)
			}
			n := 1
			put := func() error {
				n++
				_, err := q.Put(t.Context(), eventOf(n, 10))
				return err
			}
			var err error
			testbed.Eventually(t, patient, func() bool { err = put(); return err != nil }, "events to be refused")
			if !strings.Contains(err.Error(), at+" has been removed") {
				t.Errorf("the error is %q, want what is missing", err)
			}
			if err := os.Rename(at+".away", at); err != nil {
				t.Fatal(err)
			}
			testbed.Eventually(t, patient, func() bool { return put() == nil }, "the store to be back by itself")
		})
	}
}

// A database that is cut under the running gateway is not touched any more: calls fail and
// name it, the process goes on, and Close returns.
func TestADatabaseThatIsCut(t *testing.T) {
	t.Parallel()
	o := disk.Options{Dir: t.TempDir()}
	for range 2 { // so that the database has them
		s, err := disk.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		q := queueOf(t, s, inbox.Options{})
		for n := range 200 {
			if _, err := q.Put(t.Context(), eventOf(n, 10)); err != nil {
				t.Fatal(err)
			}
		}
		closeDisk(t, s)
	}
	s, err := disk.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	q := queueOf(t, s, inbox.Options{})
	if err := os.Truncate(filepath.Join(o.Dir, "inbox.db"), 8192); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, patient, func() bool {
		_, err = q.Put(t.Context(), eventOf(1000, 10))
		return err != nil
	}, "events to be refused")
	if !strings.Contains(err.Error(), "inbox.db") || !strings.Contains(err.Error(), "put a copy") {
		t.Errorf("the error is %q, want the file and the fix", err)
	}
	if err := s.Close(); err != nil && !strings.Contains(err.Error(), "inbox.db") {
		t.Error(err)
	}
}
