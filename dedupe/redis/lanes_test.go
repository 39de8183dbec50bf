package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Calls beyond the lanes share round trips, and each gets its own answer.
func TestLanesGiveEachCallItsOwnAnswer(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t)
	r := openLanes(t, server.URL(), 20*time.Second, time.Millisecond)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ev := dedupe.Event{ID: dedupe.NewKey("id", []byte{byte(i)})}
			if err := r.Commit(t.Context(), ev, dedupe.Success{Status: 200 + i}, time.Hour); err != nil {
				t.Errorf("commit %d: %v", i, err)
				return
			}
			if a, err := r.Claim(t.Context(), ev, dedupe.NewToken(), time.Hour); err != nil || a.Status != 200+i {
				t.Errorf("claim %d: %+v, %v", i, a, err)
			}
		})
	}
	all.Wait()
	waitForLanes(t, r.calls.(*lanes), 0, 0)
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
		_, err := r.Claim(t.Context(), dedupe.Event{ID: dedupe.Key(dedupe.NewToken())}, dedupe.NewToken(), time.Hour)
		return err
	}
	claims := func() int64 { // that took effect
		reply, err := server.Do("DBSIZE")
		n, atoi := strconv.ParseInt(strings.TrimPrefix(reply, ":"), 10, 64)
		if err := cmp.Or(err, atoi); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// A claim that a busy machine makes too long may take effect, too.
	tried := 0
	again := func() bool { tried++; return claim() == nil }
	testbed.Eventually(t, time.Minute, again, "a first claim")
	server.Freeze()
	var failed atomic.Int32
	var all sync.WaitGroup
	const callers, rounds = 200, 3
	for range callers {
		all.Go(func() {
			for range rounds {
				// The deadline's error is the context's, or that of reading until then.
				var late interface{ Timeout() bool }
				if err := claim(); errors.As(err, &late) && late.Timeout() {
					failed.Add(1)
				} else {
					t.Errorf("claim at a frozen server: %v", err)
				}
			}
		})
	}
	all.Wait()
	server.Thaw()
	testbed.Eventually(t, time.Minute, again, "the server answers again")
	// What was on its way in each round, and the claims before and after.
	n := claims()
	if most := int64(rounds*laneCount*laneBatch + tried); n > most || failed.Load() != callers*rounds {
		t.Errorf("%d of %d claims failed and %d took effect all the same, want at most %d", failed.Load(), callers*rounds, n, most)
	}
}

// Calls that come during a round trip share the next one.
func TestLanesShareTheNextRoundTrip(t *testing.T) {
	t.Parallel()
	r, l, trips := holdLanes(t)
	l.stopWatching()
	for i := range 5 {
		trips.lookup(r)
		waitForLanes(t, l, loneCalls, i+1)
	}
	close(trips.release)
	trips.all.Wait()
	waitForLanes(t, l, 0, 0)
	if got := trips.batches; !slices.Equal(got, []int{5}) {
		t.Errorf("five calls went in batches of %v", got)
	}
}

// A full batch has no one to wait for.
func TestLanesSendAFullBatchAtOnce(t *testing.T) {
	t.Parallel()
	r, l, trips := holdLanes(t)
	l.stopWatching()
	for i := range laneBatch - 1 {
		trips.lookup(r)
		waitForLanes(t, l, loneCalls, i+1)
	}
	trips.lookup(r)
	waitForLanes(t, l, loneCalls, 0)
	close(trips.release)
	trips.all.Wait()
	waitForLanes(t, l, 0, 0)
	if got := trips.batches; !slices.Equal(got, []int{laneBatch}) {
		t.Errorf("the calls went in batches of %v", got)
	}
}

// Connections that died without a word hold up nobody but who is on them.
func TestLanesPassARoundTripThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	r, l, trips := holdLanes(t)
	for range 3 {
		// Nothing else comes that would take it along.
		if _, err := r.Lookup(t.Context(), dedupe.Key(dedupe.NewToken())); err != nil {
			t.Fatal(err)
		}
		waitForLanes(t, l, loneCalls, 0)
	}
	close(trips.release)
	trips.all.Wait()
	waitForLanes(t, l, 0, 0)
}

// Whoever gives up does so at once, and the call is not sent later.
func TestLanesDropTheCallOfWhoGaveUp(t *testing.T) {
	t.Parallel()
	r, l, trips := holdLanes(t)
	l.stopWatching()
	ctx, giveUp := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := r.Lookup(ctx, dedupe.Key(dedupe.NewToken()))
		gone <- err
	}()
	waitForLanes(t, l, loneCalls, 1)
	giveUp()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("giving up in the queue: %v", err)
	}
	trips.lookup(r)
	waitForLanes(t, l, loneCalls, 1)
	close(trips.release)
	trips.all.Wait()
	waitForLanes(t, l, 0, 0)
	if got := trips.batches; !slices.Equal(got, []int{1}) {
		t.Errorf("one call was left, and they went in batches of %v", got)
	}
}

// heldTrips is a hook that holds up the first round trips, and counts what the batches
// after them carry.
type heldTrips struct {
	t                *testing.T
	all              sync.WaitGroup // the calls
	held             atomic.Int32
	entered, release chan struct{}
	mu               sync.Mutex
	batches          []int
}

// holdLanes returns a store whose lone round trips are under way until release is closed.
func holdLanes(t *testing.T) (*Store, *lanes, *heldTrips) {
	t.Helper()
	r := openLanes(t, testbed.StartRedis(t).URL(), 20*time.Second, 0)
	// So that there is a connection and the script is known.
	if _, err := r.Lookup(t.Context(), dedupe.Key(dedupe.NewToken())); err != nil {
		t.Fatal(err)
	}
	h := &heldTrips{t: t, entered: make(chan struct{}), release: make(chan struct{})}
	r.client.AddHook(h)
	for range loneCalls {
		h.lookup(r)
		<-h.entered
	}
	return r, r.calls.(*lanes), h
}

// lookup makes a call in the background.
func (h *heldTrips) lookup(r *Store) {
	h.all.Go(func() {
		if _, err := r.Lookup(h.t.Context(), dedupe.Key(dedupe.NewToken())); err != nil {
			h.t.Error(err)
		}
	})
}

func (h *heldTrips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *heldTrips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.held.Add(1) <= loneCalls {
			h.entered <- struct{}{}
			<-h.release
		}
		return next(ctx, cmd)
	}
}

func (h *heldTrips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.mu.Lock()
		h.batches = append(h.batches, len(cmds))
		h.mu.Unlock()
		return next(ctx, cmds)
	}
}

// stopWatching keeps calls in the queue however long a round trip takes.
func (l *lanes) stopWatching() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watched = true
}

// waitForLanes waits until so many lanes are taken and so many calls queued.
func waitForLanes(t *testing.T, l *lanes, busy, queued int) {
	t.Helper()
	testbed.Eventually(t, time.Minute, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.busy == busy && len(l.queue) == queued
	}, fmt.Sprintf("%d lanes are taken and %d calls queued", busy, queued))
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
