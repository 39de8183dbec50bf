package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
)

// A store that an earlier version left behind opens, and has every event. The files are
// what a crash left of the last version whose two logs were called journals: events 0 to 3
// are in the file; the first log is full and has events 4 to 6, a longer time for event 0
// and the end of event 1; the second has events 7 and 8.
func TestAStoreOfAnEarlierVersionOpens(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), testkit.NewClock()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "format-1"))); err != nil {
		t.Fatal(err)
	}
	for n := range 2 { // the second time after a clean end
		d := openDisk(t, dir, c)
		for n, want := range []time.Duration{3 * time.Hour, 0, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, time.Hour, 2 * time.Hour} {
			ev := testkit.Numbered(n)
			if want == 0 {
				testkit.WantState(t, d, ev.ID, dedupe.Absent)
				testkit.WantState(t, d, ev.Content, dedupe.Absent)
				continue
			}
			byID, byContent := testkit.WantState(t, d, ev.ID, dedupe.Done), testkit.WantState(t, d, ev.Content, dedupe.Done)
			if byID.Status != 200+n || byContent.Status != 200+n || byID.Content != ev.Content || byID.TTL != want || byContent.TTL != want {
				t.Errorf("event %d is %+v by its ID and %+v by its content, want status %d for %s", n, byID, byContent, 200+n, want)
			}
		}
		if n == 0 {
			testkit.Commit(t, d, testkit.Numbered(9))
		} else {
			testkit.WantState(t, d, testkit.Numbered(9).ID, dedupe.Done)
		}
		if err := d.Close(); err != nil && !errors.Is(err, dedupe.ErrClosed) {
			t.Fatal(err)
		}
	}
}
