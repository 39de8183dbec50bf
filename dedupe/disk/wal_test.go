package disk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const (
	firstPage = 4096
	batchHead = 28
	batchOne  = batchHead + 42 // a batch of one event
)

// image is what a directory would have after a crash: a copy of it, taken while nothing
// is written.
func image(t *testing.T, dir string) string {
	t.Helper()
	copied := t.TempDir()
	for _, name := range []string{"journal-a", "journal-b", "events.db"} {
		if err := copyFile(filepath.Join(dir, name), filepath.Join(copied, name)); err != nil {
			t.Fatal(err)
		}
	}
	return copied
}

// edit changes a file.
func edit(t *testing.T, file string, change func(data []byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, change(data), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// spoil is damage to some bytes of a file.
func spoil(from, to int) func([]byte) []byte {
	return func(data []byte) []byte {
		for i := from; i < to; i++ {
			data[i] ^= 0x5a
		}
		return data
	}
}

// A log file of three events, each in a batch of its own, as a crash or a bad disk may
// leave it. Where it ends too early, the rest was never acknowledged. Where it goes on
// behind a hole, it is damaged.
func TestDiskLogAfterACrash(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	d := openDisk(t, dir, c)
	for n := range 3 {
		testkit.Commit(t, d, testkit.Numbered(n))
	}
	at := func(batch, byte int) int { return firstPage + batch*batchOne + byte }
	type damage struct {
		change func([]byte) []byte
		has    int // events that are left; -1: refused
	}
	cases := map[string]damage{
		"as it is":                         {spoil(0, 0), 3},
		"something after the end":          {spoil(at(3, 0), at(3, 100)), 3},
		"the last byte of all":             {spoil(at(3, -1), at(3, 0)), 2},
		"the last batch's magic":           {spoil(at(2, 0), at(2, 4)), 2},
		"the last batch's checksum":        {spoil(at(2, 4), at(2, 8)), 2},
		"the last batch's length":          {spoil(at(2, 8), at(2, 12)), 2},
		"the last batch's number":          {spoil(at(2, 12), at(2, 20)), 2},
		"the last batch, never there":      {func(data []byte) []byte { clear(data[at(2, 0):]); return data }, 2},
		"the end of the last batch, never": {func(data []byte) []byte { clear(data[at(2, 40):]); return data }, 2},
		"nothing was written":              {func(data []byte) []byte { clear(data[firstPage:]); return data }, 0},
		"all three batches":                {spoil(firstPage, at(3, 0)), 0},
		"the first batch":                  {spoil(at(0, 30), at(0, 31)), -1},
		"the middle batch":                 {spoil(at(1, 0), at(2, 0)), -1},
		"the middle batch's length":        {spoil(at(1, 8), at(1, 9)), -1},
		"the first two":                    {spoil(at(0, 0), at(2, 0)), -1},
		"the first page":                   {spoil(0, 10), -1},
		"its size":                         {spoil(25, 30), -1},
		"empty":                            {func([]byte) []byte { return nil }, -1},
		"cut off in the first page":        {func(data []byte) []byte { return data[:100] }, -1},
		"cut off in a batch":               {func(data []byte) []byte { return data[:at(1, 20)] }, -1},
		"cut off after the end":            {func(data []byte) []byte { return data[:at(3, 0)] }, -1},
		"text":                             {func([]byte) []byte { return []byte("hello") }, -1},
	}
	for n := range batchOne { // every byte of the batches
		cases[fmt.Sprintf("byte %d of the middle batch", n)] = damage{spoil(at(1, n), at(1, n)+1), -1}
		cases[fmt.Sprintf("byte %d of the last batch", n)] = damage{spoil(at(2, n), at(2, n)+1), 2}
	}
	crashed := image(t, dir)
	for name, damage := range cases {
		dir := image(t, crashed)
		edit(t, filepath.Join(dir, "journal-a"), damage.change)
		d, err := disk.Open(disk.Options{Dir: dir, Now: c.Now})
		if damage.has < 0 {
			testkit.WantWords(t, err, dir, "journal-a", "put a copy of the whole directory back", "store disk <dir>", "store redis <url>")
			if err == nil {
				t.Errorf("%s: it opens", name)
				closeDisk(t, d)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for n := range 3 {
			want := dedupe.Absent
			if n < damage.has {
				want = dedupe.Done
			}
			if rec, err := d.Lookup(t.Context(), testkit.Numbered(n).ID); err != nil || rec.State != want {
				t.Errorf("%s: event %d is %+v, %v, want %s", name, n, rec, err, want)
			}
		}
		testkit.Commit(t, d, testkit.Numbered(4))
		closeDisk(t, d)
	}
}

// A log that lacks batches which the database does not have is not taken for complete.
func TestDiskLogWithAGapIsRefused(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	d := openDiskWith(t, disk.Options{Dir: dir, Now: c.Now}.WithLog(firstPage+5*batchOne, nil))
	older := image(t, dir)
	// Both are in use: the first is full, and what it holds cannot be moved.
	open := d.HoldDatabase(t)
	t.Cleanup(open)
	for n := range 7 {
		testkit.Commit(t, d, testkit.Numbered(n))
	}
	for name, damage := range map[string]func(dir string) error{
		"the end of the first": func(dir string) error {
			edit(t, filepath.Join(dir, "journal-a"), spoil(firstPage+4*batchOne, firstPage+4*batchOne+9))
			return nil
		},
		"the first is gone":  func(dir string) error { return os.Remove(filepath.Join(dir, "journal-a")) },
		"the second is gone": func(dir string) error { return os.Remove(filepath.Join(dir, "journal-b")) },
		"the first is an older copy": func(dir string) error {
			return copyFile(filepath.Join(older, "journal-a"), filepath.Join(dir, "journal-a"))
		},
	} {
		dir := image(t, dir)
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		d, err := disk.Open(disk.Options{Dir: dir, Now: c.Now})
		if err == nil {
			t.Errorf("%s: it opens", name)
			closeDisk(t, d)
		}
		testkit.WantWords(t, err, dir, "put a copy of the whole directory back", "give-up-journals")
		// And that helps, once.
		giveUp(t, dir)
		closeDisk(t, openDisk(t, dir, c))
		if _, err := os.Lstat(filepath.Join(dir, "give-up-journals")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: what was asked for once holds on: %v", name, err)
		}
	}
}

// giveUp does what an error names as the fix.
func giveUp(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "give-up-journals"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A crash at any moment of many turns, with forgotten events among the others: what had
// been acknowledged is there, and what was forgotten does not come back.
func TestDiskLogReplaysWhatWasNotMoved(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	o := disk.Options{Dir: dir, Now: c.Now}.WithLog(firstPage+5*batchOne, nil)
	d := openDiskWith(t, o)
	want := make(map[int]dedupe.State)
	for n := range 40 {
		testkit.Commit(t, d, testkit.Numbered(n))
		want[n] = dedupe.Done
		if n%3 == 2 {
			if rec, err := d.Forget(t.Context(), testkit.Numbered(n-1).ID); err != nil || rec.State != dedupe.Done {
				t.Fatalf("forget: %+v, %v", rec, err)
			}
			want[n-1] = dedupe.Absent
		}
		if n%6 == 5 { // finished anew
			testkit.Commit(t, d, testkit.Numbered(n-1))
			want[n-1] = dedupe.Done
		}
		d.AwaitCheckpoint() // for an image that fits together
		crashed := image(t, dir)
		for range 2 { // the second time after the first one's end
			d, err := disk.Open(disk.Options{Dir: crashed, Now: c.Now})
			if err != nil {
				t.Fatal(err)
			}
			for n, want := range want {
				testkit.WantState(t, d, testkit.Numbered(n).ID, want)
				testkit.WantState(t, d, testkit.Numbered(n).Content, want)
			}
			closeDisk(t, d)
		}
	}
}

// The crash comes after a part of a checkpoint is in the database, and before its log file
// is free again. The file is moved once more, with the same result.
func TestDiskMovesTwiceWithoutHarm(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	d := openDisk(t, dir, c)
	testkit.Commit(t, d, testkit.Numbered(1))
	if err := d.Commit(t.Context(), testkit.Numbered(1), dedupe.Success{Status: 299}, 2*testkit.TTL); err != nil { // keeps its status
		t.Fatal(err)
	}
	testkit.Commit(t, d, testkit.Numbered(2))
	if _, err := d.Forget(t.Context(), testkit.Numbered(2).ID); err != nil {
		t.Fatal(err)
	}
	before := image(t, dir)
	closeDisk(t, d)
	after := image(t, dir)
	if err := disk.ForgetMoved(filepath.Join(after, "events.db")); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"before the move": before, "in the middle of it": after} {
		d := openDisk(t, dir, c)
		for _, k := range []dedupe.Key{testkit.Numbered(1).ID, testkit.Numbered(1).Content} {
			if rec := testkit.WantState(t, d, k, dedupe.Done); rec.Status != 200 || rec.TTL != 2*testkit.TTL {
				t.Errorf("%s: %+v, want the first status and the longer time", name, rec)
			}
		}
		testkit.WantState(t, d, testkit.Numbered(2).ID, dedupe.Absent)
		testkit.WantState(t, d, testkit.Numbered(2).Content, dedupe.Absent)
		closeDisk(t, d)
	}
}

// After Close the database has everything, and the log nothing that it lacks.
func TestDiskCloseLeavesTheDatabaseComplete(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	d := openDisk(t, dir, c)
	for n := range 100 {
		testkit.Commit(t, d, testkit.Numbered(n))
	}
	closeDisk(t, d)
	alone := t.TempDir()
	if err := copyFile(filepath.Join(dir, "events.db"), filepath.Join(alone, "events.db")); err != nil {
		t.Fatal(err)
	}
	d = openDisk(t, alone, c)
	if d.Unmoved() != 0 {
		t.Errorf("%d keys are not in the database", d.Unmoved())
	}
	for n := range 100 {
		testkit.WantState(t, d, testkit.Numbered(n).ID, dedupe.Done)
	}
}

// What nobody commits on top of is moved after a while, and expires like the rest.
func TestDiskMovesWhatHasBeenInTheLogForAWhile(t *testing.T) {
	t.Parallel()
	c := testkit.NewClock()
	d := openDisk(t, t.TempDir(), c)
	testkit.Commit(t, d, testkit.Pair(1))
	c.Advance(2 * time.Minute)
	testbed.Eventually(t, testkit.Patient, func() bool { return d.Unmoved() == 0 && d.Records() == 2 }, "the move")
	testkit.WantState(t, d, testkit.Pair(1).ID, dedupe.Done)
}

// The database cannot be written: commits go on until both log files are full, and then they
// fail, and so do claims, until it can.
func TestDiskLogIsFullWhileTheDatabaseCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := openDiskWith(t, disk.Options{Dir: dir}.WithLog(firstPage+5*batchOne, nil))
	open := d.HoldDatabase(t)
	t.Cleanup(open)
	for n := range 10 {
		testkit.Commit(t, d, testkit.Numbered(n))
	}
	d.SetWaitBudget(100 * time.Millisecond)
	testkit.WantWords(t, d.Commit(t.Context(), testkit.Numbered(10), dedupe.Success{Status: 200}, testkit.TTL), dir, "has not taken a write")
	if _, err := d.Claim(t.Context(), testkit.Pair(2), dedupe.NewToken(), testkit.TTL); err == nil {
		t.Error("an event was let through that could not be remembered")
	}
	for n := range 10 {
		testkit.WantState(t, d, testkit.Numbered(n).ID, dedupe.Done)
	}
	open()
	testbed.Eventually(t, testkit.Patient, func() bool {
		_, err := d.Claim(t.Context(), testkit.Pair(2), dedupe.NewToken(), testkit.TTL)
		return err == nil
	}, "the store to be back by itself")
	testkit.WantState(t, d, testkit.Numbered(10).ID, dedupe.Done)
}

// After a sync that failed, the next one writes everything again, and what had failed is
// remembered.
func TestDiskLogIsWrittenAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	dir, g := t.TempDir(), new(gate)
	d := openDiskWith(t, disk.Options{Dir: dir}.WithLog(0, g.wrap))
	testkit.Commit(t, d, testkit.Pair(1))
	g.failing.Store(true)
	testkit.WantWords(t, d.Commit(t.Context(), testkit.Pair(2), dedupe.Success{Status: 200}, testkit.TTL), dir, "cannot be written", errFailing.Error())
	if _, err := d.Claim(t.Context(), testkit.Pair(3), dedupe.NewToken(), testkit.TTL); !errors.Is(err, errFailing) {
		t.Errorf("claim: %v, want %v", err, errFailing)
	}
	g.failing.Store(false)
	testbed.Eventually(t, testkit.Patient, func() bool {
		_, err := d.Claim(t.Context(), testkit.Pair(3), dedupe.NewToken(), testkit.TTL)
		return err == nil
	}, "the store to be back by itself")
	data, err := os.ReadFile(filepath.Join(dir, "journal-a"))
	if err != nil {
		t.Fatal(err)
	}
	numbers, ids, err := disk.ReadLog(data, 0)
	if err != nil || !slices.Equal(numbers, []uint64{1, 2}) || !slices.Equal(ids, []dedupe.Key{testkit.Pair(1).ID, testkit.Pair(2).ID}) {
		t.Errorf("the log has batches %v of %v, %v", numbers, ids, err)
	}
}

// FuzzLog reads whatever a log file may hold. What it returns is sound, in order, and
// ends where the next batch is not.
func FuzzLog(f *testing.F) {
	page := binary.BigEndian.AppendUint64([]byte("webhook_guard journal 1\n"), 0)
	one := disk.Batch(1, testkit.Numbered(1), testkit.Numbered(2))
	two := disk.Batch(2, testkit.Numbered(3))
	f.Add(slices.Concat(one, two), uint64(0))
	f.Add(slices.Concat(one, two[:50]), uint64(0))
	f.Add(slices.Concat(one[:50], two), uint64(0))
	f.Add(slices.Concat(two, one), uint64(1))
	f.Add(slices.Concat(two, make([]byte, 100)), uint64(9))
	f.Add(append(disk.BatchWithReply(1, testkit.Numbered(1), dedupe.Reply{ContentType: "text/xml", Body: "<wgb1/>"}), two...), uint64(0))
	f.Add(append(disk.BatchWithIDText(1, testkit.Numbered(1), "wgb1", dedupe.Reply{}), two...), uint64(0))
	f.Add([]byte("wgb1wgb1wgb1"), uint64(0))
	f.Fuzz(func(t *testing.T, batches []byte, moved uint64) {
		data := append(append(slices.Clone(page), make([]byte, firstPage-len(page))...), batches...)
		binary.BigEndian.PutUint64(data[len(page)-8:], uint64(len(data)))
		numbers, ids, err := disk.ReadLog(data, moved)
		if err != nil {
			return
		}
		if len(numbers) == 0 && len(ids) > 0 {
			t.Error("events without a batch")
		}
		for i, number := range numbers {
			if number != numbers[0]+uint64(i) {
				t.Errorf("batches %v are out of order", numbers)
			}
		}
		// What was read is what was written.
		if again := disk.Rewritten(data, moved); !bytes.HasPrefix(data[firstPage:], again) {
			t.Error("a batch was read that was not written like this")
		}
	})
}
