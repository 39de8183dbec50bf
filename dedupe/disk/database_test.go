package disk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// The file as a power failure may leave it. bbolt writes a transaction's pages first,
// and then one of two meta pages that take turns. Where the newest transaction is lost,
// the log still has what it moved.
func TestDiskOpensWhatACrashLeaves(t *testing.T) {
	t.Parallel()
	original, c := t.TempDir(), testkit.NewClock()
	d := openDisk(t, original, c)
	testkit.Commit(t, d, testkit.Pair(1))
	testkit.Commit(t, d, testkit.Pair(2))
	closeDisk(t, d)
	pristine := image(t, original)
	whole, err := os.ReadFile(filepath.Join(original, "events.db"))
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	newest := 0 // the meta page with the higher transaction number
	if txid := func(meta int) uint64 { return binary.NativeEndian.Uint64(whole[meta*page+16+48:]) }; txid(1) > txid(0) {
		newest = 1
	}
	tear := func(from, to int) []byte {
		torn := append([]byte(nil), whole...)
		for i := from; i < to; i++ {
			torn[i] ^= 0x5a
		}
		return torn
	}
	for name, c2 := range map[string]struct {
		file    []byte
		refused []string // or else it opens and has both events
	}{
		"as it is":                {file: whole},
		"newest meta page torn":   {file: tear(newest*page+40, newest*page+90)},
		"older meta page torn":    {file: tear((1-newest)*page+40, (1-newest)*page+90)},
		"a page of nothing added": {file: append(append([]byte(nil), whole...), make([]byte, page)...)},
		"both meta pages torn":    {file: tear(40, 2*page), refused: []string{"move it away"}},
		"every other page torn":   {file: tear(2*page, len(whole)), refused: []string{"damaged", "move it away"}},
		"cut off":                 {file: whole[:2*page], refused: []string{"move it away"}},
		"zeros":                   {file: make([]byte, len(whole)), refused: []string{"move it away"}},
		"text":                    {file: []byte("hello"), refused: []string{"move it away"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := image(t, pristine)
			edit(t, filepath.Join(dir, "events.db"), func([]byte) []byte { return c2.file })
			if c2.refused != nil {
				_, err := disk.Open(disk.Options{Dir: dir, Now: c.Now})
				testkit.WantWords(t, err, append(c2.refused, dir, "store redis <url>", "store memory")...)
				return
			}
			d := openDisk(t, dir, c)
			testkit.WantState(t, d, testkit.Pair(1).ID, dedupe.Done)
			testkit.WantState(t, d, testkit.Pair(2).ID, dedupe.Done)
			testkit.Commit(t, d, testkit.Pair(3))
		})
	}
}

// A copy of the files taken in the middle of writes is worse than what a snapshot of a
// disk has. Where its parts do not fit, that is said; else it has what was finished
// before the copy was begun.
func TestDiskOpensCopiesTakenUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openDiskWith(t, disk.Options{Dir: dir}.WithLog(16<<10, nil)) // many moves
	var mu sync.Mutex
	finished := 0
	stop := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := d.Commit(t.Context(), testkit.Numbered(n), dedupe.Success{Status: 200}, testkit.TTL); err != nil {
				t.Error(err)
			}
			mu.Lock()
			finished = n + 1
			mu.Unlock()
		}
	})
	opened := 0
	for range 20 {
		testbed.Eventually(t, testkit.Patient, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return finished > 10*opened+rand.IntN(20)
		}, "events before a copy")
		mu.Lock()
		before := finished
		mu.Unlock()
		copied := t.TempDir()
		for _, name := range []string{"journal-a", "journal-b", "events.db"} {
			if err := copyFile(filepath.Join(dir, name), filepath.Join(copied, name)); err != nil {
				t.Fatal(err)
			}
		}
		c, err := disk.Open(disk.Options{Dir: copied})
		if err != nil {
			testkit.WantWords(t, err, copied, "put a copy of the whole directory back")
			t.Log(err)
			continue
		}
		opened++
		for n := range before {
			if rec, err := c.Lookup(t.Context(), testkit.Numbered(n).ID); err == nil && rec.State != dedupe.Done {
				t.Fatalf("event %d of %d is %s in a copy taken after it was finished", n, before, rec.State)
			}
		}
		closeDisk(t, c)
	}
	close(stop)
	load.Wait()
	if opened == 0 {
		t.Error("no copy opened")
	}
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// What a later version has written is whole: nobody is told to move it away, and it stays as it
// is.
func TestDiskRefusesALaterVersionsStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := disk.Open(disk.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "events.db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	later := func(tx *bolt.Tx) error { return tx.Bucket([]byte("webhook_guard")).Put([]byte("format"), []byte("2")) }
	if err := errors.Join(db.Update(later), db.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = disk.Open(disk.Options{Dir: dir})
	testkit.WantWords(t, err, path, `format "2"`, "run the version that wrote it")
	if err != nil && strings.Contains(err.Error(), "move") {
		t.Errorf("the error is %q, which has somebody move the events away", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was written to, %v", err)
	}
}

// Another program's file is not written to.
func TestDiskRefusesAFileThatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(tx *bolt.Tx) error{
		"another program's":    func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("raft")); return err },
		"one without a format": func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("webhook_guard")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			db, err := bolt.Open(filepath.Join(dir, "events.db"), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(fill), db.Close()); err != nil {
				t.Fatal(err)
			}
			_, err = disk.Open(disk.Options{Dir: dir})
			testkit.WantWords(t, err, dir, "not an event store of this version", "move it away", "store disk <dir>")
		})
	}
}
