package disk_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed/formats"
)

// A store that any released version left behind opens, has every event, and takes new ones.
func TestStoresOfEveryVersionOpen(t *testing.T) {
	formats.Each(t, func(to string) { writeStore(t, to) }, func(t *testing.T, from string) {
		dir, clock := t.TempDir(), testkit.NewClock()
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(from, "store"))); err != nil {
			t.Fatal(err)
		}
		d := openDisk(t, dir, clock)
		testkit.CheckKnown(t, d, from, 0)
		testkit.Commit(t, d, testkit.Numbered(900))
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d, err := disk.Open(disk.Options{Dir: dir, Now: clock.Now}) // as this version has left it
		if err != nil {
			t.Fatal(err)
		}
		defer closeDisk(t, d)
		testkit.CheckKnown(t, d, from, 0)
		testkit.WantState(t, d, testkit.Numbered(900).ID, dedupe.Done)
	})
}

// writeStore leaves a store as a crash does: a part of its events is in the database, the
// others are in the log.
func writeStore(t *testing.T, to string) {
	t.Helper()
	dir, clock := t.TempDir(), testkit.NewClock()
	o := disk.Options{Dir: dir, Now: clock.Now}.WithLog(8<<10, nil)
	d := openDiskWith(t, o)
	keys := testkit.FinishEachKind(t, d, 100)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := disk.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	keys = append(keys, testkit.FinishEachKind(t, d, 200)...)
	testkit.WriteKnown(t, d, to, keys)
	d.Crash(t)
	if err := os.CopyFS(filepath.Join(to, "store"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
}

// docs/stability.md names the format that this version writes.
func TestTheDocumentedFormatIsWritten(t *testing.T) {
	dir := t.TempDir()
	closeDisk(t, openDisk(t, dir, testkit.NewClock()))
	formats.Documented(t, filepath.Join(dir, "events.db"), "webhook_guard", "dedupe on a disk")
}
