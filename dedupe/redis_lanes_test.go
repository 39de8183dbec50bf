package dedupe

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/bench/testbed"
)

// Calls beyond the lanes share round trips, and each gets its own answer.
func TestLanesGiveEachCallItsOwnAnswer(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	r := openLanes(t, server.URL(), 20*time.Second, time.Millisecond)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ev := Event{ID: NewKey("id", []byte{byte(i)})}
			if err := r.Commit(t.Context(), ev, 200+i, time.Hour); err != nil {
				t.Errorf("commit %d: %v", i, err)
				return
			}
			if a, err := r.Claim(t.Context(), ev, NewToken(), time.Hour); err != nil || a.Status != 200+i {
				t.Errorf("claim %d: %+v, %v", i, a, err)
			}
		})
	}
	all.Wait()
	l := r.calls.(*lanes)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy != 0 || len(l.queue) != 0 {
		t.Errorf("%d lanes are taken and %d calls queued after the last answer", l.busy, len(l.queue))
	}
	if trips := commandsServed(t, server); trips >= 400 {
		t.Errorf("400 calls took %d round trips: none was shared", trips)
	}
}

// A caller that gives up leaves the queue: what was not sent yet never is. At a server
// that froze only what was on its way takes effect.
func TestLanesForgetWhoGaveUp(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	const timeout = 300 * time.Millisecond
	r := openLanes(t, server.URL(), timeout, 0)
	claim := func() error {
		_, err := r.Claim(t.Context(), Event{ID: Key(NewToken())}, NewToken(), time.Hour)
		return err
	}
	if err := claim(); err != nil {
		t.Fatal(err)
	}
	server.Freeze()
	var failed atomic.Int32
	var all sync.WaitGroup
	const callers, rounds = 200, 3
	for range callers {
		all.Go(func() {
			for range rounds {
				if err := claim(); errors.Is(err, context.DeadlineExceeded) {
					failed.Add(1)
				} else {
					t.Errorf("claim at a frozen server: %v", err)
				}
			}
		})
	}
	all.Wait()
	server.Thaw()
	testbed.Eventually(t, 20*time.Second, func() bool { return claim() == nil }, "the server answers again")
	n, err := r.client.DBSize(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	// What was on its way in each round, and the claims before and after.
	if most := int64(rounds*laneCount*laneBatch + 2); n > most || failed.Load() != callers*rounds {
		t.Errorf("%d of %d claims failed and %d took effect all the same, want at most %d", failed.Load(), callers*rounds, n, most)
	}
}

// commandsServed counts what a server read from its sockets.
func commandsServed(t *testing.T, server *testbed.Redis) int {
	t.Helper()
	c := openWay(t, server.URL(), 20*time.Second, 0, 1, nil)
	info, err := c.client.Info(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	return infoNumber(t, info, "total_reads_processed:")
}

func infoNumber(t *testing.T, info, name string) int {
	t.Helper()
	_, rest, found := strings.Cut(info, name)
	line, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(line)
	if err != nil || !found {
		t.Fatalf("INFO has no number %s: %v", name, err)
	}
	return n
}
