package disk_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/disk"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed/formats"
)

// An inbox that any released version left behind opens, has every event, and goes on.
func TestInboxesOfEveryVersionOpen(t *testing.T) {
	formats.Each(t, func(to string) { writeInbox(t, to) }, func(t *testing.T, from string) {
		dir, at := t.TempDir(), queuetest.KeptAt(t, from)
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(from, "store"))); err != nil {
			t.Fatal(err)
		}
		o := disk.Options{Dir: dir, Now: func() time.Time { return at }}
		s, err := disk.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		queuetest.CheckKept(t, queueOf(t, s, inbox.Options{}), from)
		closeDisk(t, s)
		s = openDisk(t, o) // as this version has left it
		q := queueOf(t, s, inbox.Options{})
		queuetest.CheckKept(t, q, from)
		queuetest.CheckDeliverable(t, q)
	})
}

// writeInbox leaves an inbox as a crash does: the first events are in the database, what
// came later is in the log.
func writeInbox(t *testing.T, to string) {
	t.Helper()
	dir, clock := t.TempDir(), queuetest.NewClock()
	o := disk.Options{Dir: dir, Now: clock.Now}.WithCheckpoints(3).WithSegments(4096)
	s, err := disk.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	q := queueOf(t, s, inbox.Options{Keep: time.Hour, KeepBodies: true})
	at := queuetest.FillEachState(t, q)
	queuetest.WriteKept(t, q, to, at)
	s.Crash(t)
	if err := os.CopyFS(filepath.Join(to, "store"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
}

// docs/stability.md names the format that this version writes.
func TestTheDocumentedFormatIsWritten(t *testing.T) {
	dir := t.TempDir()
	s, err := disk.Open(disk.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	closeDisk(t, s)
	formats.Documented(t, filepath.Join(dir, "inbox.db"), "about", "inbox on a disk")
}
