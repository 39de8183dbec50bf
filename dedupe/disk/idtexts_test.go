package disk_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
)

// The ID that a duplicate matched is there after a crash and after a clean end, from the
// log and from the database.
func TestDiskRemembersIDTextsAcrossRestarts(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	d := openDisk(t, dir, c)
	text := func(n int) string { return strings.Repeat(fmt.Sprintf("evt-%d:wgb3", n), n%9) }
	reply := func(n int) dedupe.Reply { return dedupe.Reply{Body: strings.Repeat("w", n%3)} }
	const events = 600 // the log is used several times over
	for n := range events {
		success := dedupe.Success{Status: 200, IDText: text(n), Reply: reply(n)}
		if err := d.Commit(t.Context(), testkit.Numbered(n), success, testkit.TTL); err != nil {
			t.Fatal(err)
		}
	}
	check := func(d *disk.Store) {
		t.Helper()
		for n := range events {
			ev := testkit.Numbered(n)
			byID, byContent := testkit.WantState(t, d, ev.ID, dedupe.Done), testkit.WantState(t, d, ev.Content, dedupe.Done)
			if byContent.IDText != text(n) || byContent.Reply != reply(n) || byContent.Status != 200 || !byContent.Content.IsZero() {
				t.Fatalf("event %d is %+v by its content", n, byContent)
			}
			if byID.IDText != "" || byID.Reply != reply(n) || byID.Content != ev.Content {
				t.Fatalf("event %d is %+v by its ID", n, byID)
			}
		}
	}
	check(d)
	d.AwaitCheckpoint()
	crashed := image(t, dir)
	closeDisk(t, d)
	for _, dir := range []string{crashed, crashed, dir} {
		d := openDisk(t, dir, c)
		check(d)
		closeDisk(t, d)
	}
}

// An ID can be a sound batch, too, or a part of one.
func TestDiskLogIsNotForgedByAnID(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	d := openDisk(t, dir, c)
	forged := string(disk.Batch(1<<40, testkit.Numbered(9)))
	// The length of a text stands before it: 103 is a g, and 119 a w.
	for n, success := range []dedupe.Success{
		{IDText: forged}, {IDText: forged[1:]}, {IDText: forged[1:] + strings.Repeat("x", 119-len(forged)+1)},
		{Reply: dedupe.Reply{Body: "w"}, IDText: forged[2:] + strings.Repeat("x", 103-len(forged)+2)},
	} {
		success.Status = 200
		if err := d.Commit(t.Context(), testkit.Numbered(n), success, testkit.TTL); err != nil {
			t.Fatal(err)
		}
	}
	crashed := image(t, dir)
	edit(t, filepath.Join(crashed, "journal-a"), func(data []byte) []byte {
		if strings.Contains(string(data), forged) {
			t.Error("what looks like a batch is in the log")
		}
		data[firstPage+batchHead] ^= 1 // the first
		return data
	})
	if d, err := disk.Open(disk.Options{Dir: crashed, Now: c.Now}); err == nil {
		closeDisk(t, d)
		t.Error("a log whose first batch is broken opens")
	} else {
		testkit.WantWords(t, err, "batch 2 follows it") // not that of the forger
	}
}

// Batches stand in the log as earlier versions wrote them, where they say no more, and are
// read as such.
func TestBatchesOfEarlierVersions(t *testing.T) {
	t.Parallel()
	ev := testkit.Numbered(1)
	change := slices.Concat(ev.Content[:], ev.ID[:], binary.BigEndian.AppendUint64(nil, 2), []byte{0, 200})
	batch := func(magic string, changes []byte) []byte {
		rest := binary.BigEndian.AppendUint32(nil, uint32(len(changes)))
		rest = binary.BigEndian.AppendUint64(rest, 1) // number
		rest = binary.BigEndian.AppendUint64(rest, 1) // time
		rest = append(rest, changes...)
		sum := crc32.Checksum(rest, crc32.MakeTable(crc32.Castagnoli))
		return slices.Concat([]byte(magic), binary.BigEndian.AppendUint32(nil, sum), rest)
	}
	reply := dedupe.Reply{ContentType: "a/b", Body: "wg"}
	packed := "\x00\x00\x00\x03a/bwg\x00" // escaped
	withReply := slices.Concat(change, []byte{0, 0, 0, byte(len(packed))}, []byte(packed))
	for name, c := range map[string]struct{ got, want []byte }{
		"an event":               {disk.Batch(1, ev), batch("wgb1", change)},
		"with a reply":           {disk.BatchWithReply(1, ev, reply), batch("wgb2", withReply)},
		"with a reply and an ID": {disk.BatchWithIDText(1, ev, "evt-1", reply), batch("wgb3", slices.Concat(withReply, []byte("\x05\x00evt-1")))},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: the batch is %q, want %q", name, c.got, c.want)
		}
		page := binary.BigEndian.AppendUint64([]byte("webhook_guard journal 1\n"), uint64(firstPage+len(c.want)))
		log := slices.Concat(page, make([]byte, firstPage-len(page)), c.want)
		if _, ids, err := disk.ReadLog(log, 0); err != nil || !slices.Equal(ids, []dedupe.Key{ev.ID}) {
			t.Errorf("%s: read as %v, %v", name, ids, err)
		}
	}
}
