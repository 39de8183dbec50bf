package disk_test

import (
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/disk"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A segment may have had any number of events. Those that are not kept any more cost a look
// each, which is spread over many steps, so that others come in between.
func TestACompactionLooksAtAFewEventsAtATime(t *testing.T) {
	t.Parallel()
	clock := queuetest.NewClock()
	const many = 20 * disk.LookAtOnce
	s := openDisk(t, disk.Options{Dir: t.TempDir(), Now: clock.Now}.WithSegments(300*many))
	q := queueOf(t, s, inbox.Options{})
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for n := i; n < many; n += 64 {
				if _, err := q.Put(t.Context(), eventOf(n, 400)); err != nil {
					t.Error(err)
				}
				if n == 0 {
					continue // it survives, and has the segment copied
				}
				if err := q.Settle(t.Context(), keyOf(n), inbox.Token{}, inbox.Settlement{Outcome: inbox.Success}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	first := s.Segments()
	if first < 2 {
		t.Fatal("there is one segment only")
	}
	next := many
	testbed.Eventually(t, patient, func() bool {
		clock.Advance(2 * time.Minute) // checkpoints are due
		next++
		if _, err := q.Put(t.Context(), eventOf(next, 10)); err != nil {
			t.Fatal(err)
		}
		return s.Segments() < first
	}, "the first segment to go")
	closeDisk(t, s)
	if steps := s.CompactionSteps(); steps < many/disk.LookAtOnce/4 {
		t.Errorf("%d events were looked at in %d steps", many, steps)
	}
}
