package disk_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
)

// What the app replied is there after a crash and after a clean end, as long as its event
// is, and takes no room afterwards.
func TestDiskRemembersRepliesAcrossRestarts(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	d := openDisk(t, dir, c)
	reply := func(n int) dedupe.Reply {
		if n%2 == 0 {
			return dedupe.Reply{}
		}
		return dedupe.Reply{ContentType: "text/xml", Body: strings.Repeat(fmt.Sprintf("<Say>wgb1 %d</Say>", n), 40)}
	}
	const events = 40 // the log is used several times over
	for n := range events {
		success := dedupe.Success{Status: 200, Reply: reply(n)}
		if err := d.Commit(t.Context(), testkit.Numbered(n), success, testkit.TTL+time.Duration(n)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Forget(t.Context(), testkit.Numbered(1).ID); err != nil {
		t.Fatal(err)
	}
	check := func(d *disk.Store) {
		t.Helper()
		for n := range events {
			if n == 1 {
				testkit.WantState(t, d, testkit.Numbered(n).ID, dedupe.Absent)
				continue
			}
			for k := range testkit.Numbered(n).Keys() {
				if rec := testkit.WantState(t, d, k, dedupe.Done); rec.Reply != reply(n) {
					t.Errorf("event %d replies %q, want %q", n, rec.Reply, reply(n))
				}
			}
		}
	}
	check(d)
	d.AwaitCheckpoint()
	crashed := image(t, dir)
	closeDisk(t, d)
	for range 2 {
		d := openDisk(t, crashed, c)
		check(d)
		closeDisk(t, d)
	}
	d = openDisk(t, dir, c)
	check(d)
	c.Advance(2 * testkit.TTL)
	testkit.Commit(t, d, testkit.Numbered(3))
	if rec := testkit.WantState(t, d, testkit.Numbered(3).ID, dedupe.Done); rec.Reply != (dedupe.Reply{}) {
		t.Errorf("a reply outlives its event: %q", rec.Reply)
	}
	closeDisk(t, d)
	d = openDisk(t, dir, c)
	if n := d.Replies(); n > 2*events-2 {
		t.Errorf("%d replies are left", n)
	}
}

// A reply can hold whatever an app repeats of what a stranger wrote, a sound batch too. The
// log is never taken for damaged by that, whatever is left of it.
func TestDiskLogIsNotForgedByAReply(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	d := openDisk(t, dir, c)
	forged := string(disk.Batch(1<<40, testkit.Numbered(9)))
	success := dedupe.Success{Status: 200, Reply: dedupe.Reply{Body: forged}}
	for n := range 2 {
		if err := d.Commit(t.Context(), testkit.Numbered(n), success, testkit.TTL); err != nil {
			t.Fatal(err)
		}
	}
	crashed := image(t, dir)
	edit(t, filepath.Join(crashed, "journal-a"), func(data []byte) []byte {
		if strings.Contains(string(data), forged) {
			t.Error("what looks like a batch is in the log")
		}
		last := firstPage + binary.BigEndian.Uint32(data[firstPage+8:]) + batchHead
		data[last] ^= 1 // as a crash leaves the second
		return data
	})
	e := openDisk(t, crashed, c)
	if rec := testkit.WantState(t, e, testkit.Numbered(0).ID, dedupe.Done); rec.Reply != success.Reply {
		t.Errorf("the reply is %q", rec.Reply)
	}
	testkit.WantState(t, e, testkit.Numbered(1).ID, dedupe.Absent)
	testkit.WantState(t, e, testkit.Numbered(9).ID, dedupe.Absent)
}

// Where nothing is replied, the files are those of an earlier version, byte for byte.
func TestDiskWritesNoRepliesWhereThereAreNone(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	d := openDisk(t, dir, c)
	testkit.Commit(t, d, testkit.Numbered(1))
	data, err := os.ReadFile(filepath.Join(dir, "journal-a"))
	if err != nil {
		t.Fatal(err)
	}
	if at := data[firstPage:]; string(at[:4]) != "wgb1" || !slices.Equal(at[batchOne:], make([]byte, len(at)-batchOne)) {
		t.Error("the batch is not one of format 1")
	}
	closeDisk(t, d)
	if n := openDisk(t, dir, c).Replies(); n != -1 {
		t.Errorf("there is room made for replies: %d", n)
	}
}
