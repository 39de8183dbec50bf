package disk_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/disk"
)

// What a finished event takes in the directory, as docs/operations.md says: its envelope is
// gone, and inbox.db never shrinks.
func TestFileBytesPerEvent(t *testing.T) {
	t.Parallel()
	const many, most = 8_000, 2000
	o := disk.Options{Dir: t.TempDir()}
	s, err := disk.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	q := queueOf(t, s, inbox.Options{Keep: time.Hour})
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for n := i; n < many; n += 64 {
				sum := sha256.Sum256(fmt.Append(nil, n)) // keys are digests
				ev := inbox.Event{Key: inbox.Key(sum[:16]), Scope: "stripe", ID: fmt.Sprintf("evt_%024d", n), Type: "payment_intent.succeeded", Envelope: make([]byte, 700)}
				if a, err := q.Put(t.Context(), ev); a != inbox.Accepted || err != nil {
					t.Error(a, err)
				}
				done := inbox.Settlement{Outcome: inbox.Success, Attempt: inbox.Attempt{Number: 1, At: time.Now(), Took: time.Millisecond, Status: 200, Head: []byte("ok")}}
				if err := q.Settle(t.Context(), ev.Key, inbox.Token{}, done); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	closeDisk(t, s) // everything is in the database then
	info, err := os.Stat(filepath.Join(o.Dir, "inbox.db"))
	if err != nil {
		t.Fatal(err)
	}
	each := info.Size() / many
	t.Logf("a finished event takes %d bytes", each)
	if each <= 0 || each > most {
		t.Errorf("%d bytes, want at most %d", each, most)
	}
}
