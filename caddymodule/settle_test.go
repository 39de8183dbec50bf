package caddymodule

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed/counted"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// An event is remembered for dedupe_ttl + max_skew beyond the latest time that a
// copy of it could still carry.
func TestTTLReachesBeyondTheLatestTime(t *testing.T) {
	now := time.Now()
	const ttl, skew = 72 * time.Hour, time.Minute
	for name, tc := range map[string]struct {
		stamp, event time.Time
		want         time.Duration
	}{
		"no times":             {want: ttl + skew},
		"old times":            {now.Add(-time.Hour), now.Add(-48 * time.Hour), ttl + skew},
		"a stamp to come":      {now.Add(40 * time.Second), time.Time{}, ttl + skew + 40*time.Second},
		"an event to come":     {now.Add(-time.Second), now.Add(30 * time.Second), ttl + skew + 30*time.Second},
		"the later one of two": {now.Add(20 * time.Second), now.Add(10 * time.Second), ttl + skew + 20*time.Second},
	} {
		b := newBench(t, func(g *Guard) { g.now = func() time.Time { return now } })
		b.guard.sender.Rules.DedupeTTL, b.guard.sender.Rules.Window.MaxSkew = ttl, skew
		event := &webhook.Event{Sent: tc.stamp, Occurred: tc.event}
		if got := b.guard.sender.TTL(event, now); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestASuccessIsCommittedBeforeTheSenderKnows(t *testing.T) {
	b := newBench(t, nil)
	w := newRecorder()
	b.store.commit = func(status int, ttl time.Duration) error {
		untouched(t, w)
		if status != http.StatusAccepted || ttl != b.guard.sender.Rules.DedupeTTL+b.guard.sender.Rules.Window.MaxSkew {
			t.Errorf("committed with %d for %s", status, ttl)
		}
		return nil
	}
	if err := b.guard.ServeHTTP(w, b.request(event("1")), says(http.StatusAccepted, "taken")); err != nil {
		t.Fatal(err)
	}
	if n := b.store.count("commit"); n != 1 || b.store.count("release") > 0 || w.Code != http.StatusAccepted {
		t.Errorf("committed %d times, status %d", n, w.Code)
	}
	again, err := b.serve(b.request(event("1")), func(http.ResponseWriter, *http.Request) error {
		t.Error("forwarded twice")
		return nil
	})
	if err != nil || again.Code != http.StatusAccepted || again.Body.Len() > 0 || again.Header().Get(headerResult) != "duplicate" {
		t.Errorf("the copy got %d %q, %v", again.Code, again.Body, err)
	}
}

func TestAFailureIsReleasedBeforeTheSenderKnows(t *testing.T) {
	b := newBench(t, nil)
	w := newRecorder()
	b.store.release = func(context.Context) error { untouched(t, w); return nil }
	if err := b.guard.ServeHTTP(w, b.request(event("1")), says(http.StatusTeapot, "no")); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusTeapot || w.Body.String() != "no" || w.Header().Get(headerResult) != "upstream_failed" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	retry, err := b.serve(b.request(event("1")), says(200, ""))
	if err != nil || retry.Header().Get(headerResult) != "forwarded" {
		t.Errorf("the retry: %v, %v", retry.Header(), err)
	}
}

func TestAReleaseThatFailsIsTriedAgainWithoutHoldingUpTheSender(t *testing.T) {
	b := newBench(t, nil)
	second := make(chan struct{})
	b.store.release = func(context.Context) error {
		if b.store.count("release") > 1 {
			close(second)
			return nil
		}
		return errAway
	}
	if w, err := b.serve(b.request(event("1")), says(500, "")); err != nil || w.Code != 500 {
		t.Errorf("%d, %v", w.Code, err)
	}
	<-second
	if b.logs.FilterMessageSnippet("could not be released").Len() != 1 {
		t.Error("nothing was logged")
	}
}

func TestACommitThatFailsIsRetriedAndCopiesMeetTheSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.guard.app.store.kind = "flaky"
		retries := sharedMetrics().commitRetries.WithLabelValues("flaky")
		before := counted.Sum(t, retries)
		var back atomic.Bool
		b.store.commit = func(int, time.Duration) error {
			if !back.Load() {
				return errAway
			}
			return nil
		}
		copyOf := func() {
			t.Helper()
			w, err := b.serve(b.request(event("1")), func(http.ResponseWriter, *http.Request) error {
				t.Error("forwarded twice")
				return nil
			})
			if err != nil || w.Code != http.StatusAccepted || w.Header().Get(headerResult) != "duplicate" {
				t.Errorf("the copy got %d, %v", w.Code, err)
			}
		}
		w, err := b.serve(b.request(event("1")), says(http.StatusAccepted, ""))
		if err != nil || w.Code != http.StatusAccepted || w.Header().Get(headerResult) != "forwarded" {
			t.Errorf("the first one got %d, %v", w.Code, err)
		}
		copyOf()
		time.Sleep(4*retryPause + 1)
		copyOf()
		if n := b.store.count("commit"); n != 5 || b.store.count("claim") != 1 {
			t.Errorf("committed %d times", n)
		}
		_ = b.guard.app.store.Destruct() // a reload: what is unsettled keeps the store open
		wantClosed(t, b.store, 0)
		back.Store(true)
		time.Sleep(retryPause)
		synctest.Wait()
		if record, err := b.store.Store.Lookup(t.Context(), key("any")); err == nil {
			t.Errorf("the store is open: %v", record)
		}
		wantClosed(t, b.store, 1)
		if n := counted.Sum(t, retries) - before; n != 5 {
			t.Errorf("counted %v retries", n)
		}
		if len(b.guard.app.store.flights.byKey) > 0 {
			t.Error("the flight stays although the store knows")
		}
	})
}

func TestACommitIsGivenUpOnceNobodyCanAskForItsEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.store.commit = func(int, time.Duration) error { return errAway }
		if _, err := b.serve(b.request(event("1")), says(200, "")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(commitRetryFor)
		synctest.Wait()
		n := b.store.count("commit")
		if want := int(commitRetryFor / retryPause); n < want-1 || n > want+1 {
			t.Errorf("tried %d times, want %d", n, want)
		}
		time.Sleep(time.Hour)
		if more := b.store.count("commit"); more != n || len(b.guard.app.store.flights.byKey) > 0 {
			t.Errorf("tried %d more times", more-n)
		}
	})
}

// With in_flight reject no copy gets the response that the event is still being handled
// when only the store does not know yet.
func TestACopyMeetsTheSuccessThoughItWouldNotWait(t *testing.T) {
	b := newBench(t, nil)
	b.guard.sender.Rules.Wait = 0
	flight, _ := b.guard.app.store.flights.join(b.exchange(event("1")).event.Keys, nil)
	b.guard.app.store.flights.conclude(flight, flight.event, dedupe.Success{Status: http.StatusCreated})
	w, err := b.serve(b.request(event("1")), says(200, ""))
	if err != nil || w.Code != http.StatusCreated || w.Header().Get(headerResult) != "duplicate" {
		t.Errorf("the copy got %d %s, %v", w.Code, w.Header().Get(headerResult), err)
	}
}

func TestConcurrentCopiesAreForwardedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		forwarded, results := 0, make(chan string, 50)
		for range cap(results) {
			go func() {
				w, err := b.serve(b.request(event("1")), func(w http.ResponseWriter, r *http.Request) error {
					forwarded++
					time.Sleep(time.Second)
					return says(http.StatusCreated, "")(w, r)
				})
				if err != nil || w.Code != http.StatusCreated {
					t.Errorf("%d, %v", w.Code, err)
				}
				results <- w.Header().Get(headerResult)
			}()
		}
		count := make(map[string]int)
		for range cap(results) {
			count[<-results]++
		}
		if forwarded != 1 || count["forwarded"] != 1 || count["duplicate"] != cap(results)-1 || b.store.count("claim") != 1 {
			t.Errorf("forwarded %d times, %v", forwarded, count)
		}
		if held := bodies.Bytes(); held != 0 {
			t.Errorf("%d bytes of bodies are still counted", held)
		}
	})
}

// A known ID with other content is a duplicate all the same, and counted.
func TestAnIDWithOtherContentIsAConflict(t *testing.T) {
	b := newBench(t, func(g *Guard) {
		g.ProviderName, g.Token, g.Secret, g.Content = "struktr", "header X-Token", []Secret{{Value: "opens"}}, "{body}"
	})
	conflicts := b.guard.metrics.idConflicts.WithLabelValues("struktr")
	before := counted.Sum(t, conflicts)
	for i, body := range []string{`{"event":"a"}`, `{"event":"b"}`} {
		r := b.request(body)
		r.Header.Set("X-Struktr-Delivery", "1")
		r.Header.Set("X-Struktr-Timestamp", r.Header.Get("X-DocRouter-Timestamp"))
		w, err := b.serve(r, says(200, ""))
		if want := []string{"forwarded", "duplicate"}[i]; err != nil || w.Header().Get(headerResult) != want {
			t.Errorf("%s, want %s, %v", w.Header().Get(headerResult), want, err)
		}
	}
	if n := counted.Sum(t, conflicts) - before; n != 1 {
		t.Errorf("counted %v conflicts", n)
	}
	if record, _ := b.store.Lookup(t.Context(), dedupe.Key{}); record.State != dedupe.Absent {
		t.Error("an empty key is in the store")
	}
}
