package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed/counted"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

var errAway = errors.New("the store is away")

// claimed is an exchange that holds its claim.
func (b *bench) claimed(body string) (*exchange, *claim) {
	b.t.Helper()
	x := b.exchange(body)
	got := x.claim()
	if got.standing != claimed {
		b.t.Fatalf("%+v", got)
	}
	return x, got.claim
}

func TestAClaimIsFreshForHalfOfItsLease(t *testing.T) {
	taken := time.Now()
	for after, want := range map[time.Duration]bool{
		-time.Second: true, 0: true, 5*time.Second - 1: true, 5 * time.Second: true, 5*time.Second + 1: false, time.Hour: false,
	} {
		c := &claim{taken: taken, lease: 10 * time.Second, inStore: true}
		if got := c.fresh(taken.Add(after)); got != want {
			t.Errorf("after %s: fresh %v", after, got)
		}
		if c.inStore = false; !c.fresh(taken.Add(after)) {
			t.Errorf("after %s: what was never claimed went stale", after)
		}
	}
}

// The clock of a claim starts before the store is asked, at each attempt.
func TestAStaleClaimIsNotForwardedButGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.store.claim = func() (dedupe.Answer, error) {
			time.Sleep(b.guard.sender.Rules.Lease/2 + 1)
			return dedupe.Answer{State: dedupe.Claimed}, nil
		}
		w, err := b.serve(b.request(event("1")), func(http.ResponseWriter, *http.Request) error {
			t.Error("forwarded on a claim that may have lapsed")
			return nil
		})
		wantRefusal(t, w, err, webhook.StoreUnavailable, http.StatusServiceUnavailable)
		if n := b.store.count("release"); n != 1 {
			t.Errorf("released %d times", n)
		}
		if refused, failed := b.logs.FilterMessage("refused").Len(), b.logs.FilterMessage("app failed").Len(); refused != 1 || failed != 0 {
			t.Errorf("%d lines refused and %d app failed: the app was not asked", refused, failed)
		}
		b.store.claim = nil
		if _, err := b.serve(b.request(event("1")), says(200, "")); err != nil {
			t.Errorf("the retry: %v", err)
		}
	})
}

func TestAClaimIsRenewedAtAThirdOfItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		_, c := b.claimed(event("1"))
		c.startRenewing()
		for i := range 4 {
			synctest.Wait()
			if n := b.store.count("renew"); n != i {
				t.Fatalf("after %d thirds: renewed %d times", i, n)
			}
			time.Sleep(c.lease / 3)
		}
		c.stopRenewing()
		n := b.store.count("renew")
		time.Sleep(10 * c.lease)
		if more := b.store.count("renew"); more != n {
			t.Errorf("renewed %d times after it was stopped", more-n)
		}
	})
}

func TestStoppingWaitsForARenewalUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		_, c := b.claimed(event("1"))
		ended := false
		b.store.renew = func() error {
			time.Sleep(time.Hour)
			ended = true
			return nil
		}
		c.startRenewing()
		time.Sleep(c.lease/3 + 1)
		c.stopRenewing()
		if !ended {
			t.Error("a renewal can follow the claim's release")
		}
	})
}

func TestNothingIsRenewedThatIsNotInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		for _, c := range []*claim{nil, {lease: time.Second}} {
			c.startRenewing()
			time.Sleep(time.Hour)
			c.stopRenewing()
		}
		if n := b.store.count("renew"); n > 0 {
			t.Errorf("renewed %d times", n)
		}
	})
}

func TestALapsedClaimIsTakenAgainUnlessSomebodyElseHasIt(t *testing.T) {
	for name, tc := range map[string]struct {
		renew       error
		claim       dedupe.State
		claims, log int
	}{
		"renewed":      {nil, 0, 0, 0},
		"away":         {errAway, 0, 0, 0},
		"lapsed":       {dedupe.ErrLost, dedupe.Claimed, 1, 0},
		"taken over":   {dedupe.ErrLost, dedupe.InFlight, 1, 1},
		"finished":     {dedupe.ErrLost, dedupe.Done, 1, 1},
		"away by then": {dedupe.ErrLost, dedupe.Absent, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			_, c := b.claimed(event("1"))
			before := b.store.count("claim")
			b.store.renew = func() error { return tc.renew }
			b.store.claim = func() (dedupe.Answer, error) {
				if tc.claim == dedupe.Absent {
					return dedupe.Answer{}, errAway
				}
				return dedupe.Answer{State: tc.claim}, nil
			}
			c.renew()
			if n := b.store.count("claim") - before; n != tc.claims {
				t.Errorf("claimed %d times", n)
			}
			if n := b.logs.FilterMessageSnippet("lost the claim").Len(); n != tc.log {
				t.Errorf("logged %d times", n)
			}
		})
	}
}

// The store of an app that works for longer than the lease keeps its event, so
// another gateway's copy finds it in flight all the time.
func TestALongWorkKeepsItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		_, err := b.serve(b.request(event("1")), func(w http.ResponseWriter, r *http.Request) error {
			for range 20 {
				time.Sleep(b.guard.sender.Rules.Lease / 2)
				answer, err := b.store.Store.Claim(t.Context(), dedupe.Event{ID: webhook.IDKey("docrouter", []string{"1"})}, dedupe.NewToken(), time.Second)
				if err != nil || answer.State != dedupe.InFlight {
					t.Fatalf("another gateway found %s, %v", answer.State, err)
				}
			}
			return says(200, "")(w, r)
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestWithoutAStoreTheEventIsRefusedAndTheClaimGivenBack(t *testing.T) {
	b := newBench(t, nil)
	b.store.claim = func() (dedupe.Answer, error) { return dedupe.Answer{}, errAway }
	released := make(chan context.Context, 1)
	b.store.release = func(ctx context.Context) error { released <- ctx; return nil }
	w, err := b.serve(b.request(event("1")), says(200, ""))
	wantRefusal(t, w, err, webhook.StoreUnavailable, http.StatusServiceUnavailable)
	if ctx := <-released; ctx.Err() != nil {
		t.Errorf("released in a context that has ended: %v", ctx.Err())
	}
	if len(b.guard.app.store.flights.byKey) > 0 {
		t.Error("copies would wait for ever")
	}
}

func TestWithoutAStoreTheEventIsForwardedOnDemand(t *testing.T) {
	b := newBench(t, func(g *Guard) { g.OnStoreError = storeErrorForward })
	b.store.claim = func() (dedupe.Answer, error) { return dedupe.Answer{}, errAway }
	count := b.guard.metrics.withoutDedupe.WithLabelValues("docrouter")
	before := counted.Sum(t, count)
	w, err := b.serve(b.request(event("1")), says(200, "done"))
	if err != nil || w.Code != 200 || w.Body.String() != "done" || w.Header().Get(headerResult) != string(webhook.Forwarded) {
		t.Errorf("%d %q, %v", w.Code, w.Body, err)
	}
	if n := counted.Sum(t, count) - before; n != 1 || b.store.count("renew") > 0 {
		t.Errorf("counted %v times", n)
	}
	// The success is a fact, so it is recorded where that works again.
	if n := b.store.count("commit"); n != 1 {
		t.Errorf("committed %d times", n)
	}
}

func TestAFullStoreIsNeverForwardedPast(t *testing.T) {
	for _, mode := range []string{storeErrorReject, storeErrorForward} {
		b := newBench(t, func(g *Guard) { g.OnStoreError = mode })
		b.store.claim = func() (dedupe.Answer, error) { return dedupe.Answer{}, dedupe.ErrFull }
		w, err := b.serve(b.request(event("1")), func(http.ResponseWriter, *http.Request) error {
			t.Error("forwarded although the store is full")
			return nil
		})
		wantRefusal(t, w, err, webhook.StoreUnavailable, http.StatusServiceUnavailable)
		if n := b.store.count("release"); n > 0 {
			t.Errorf("%s: released %d times what was never claimed", mode, n)
		}
	}
}

func TestAStoreThatCannotBeOpenedIsUnavailable(t *testing.T) {
	b := newBench(t, nil)
	b.guard.app.module = &fakeModule{key: t.Name(), open: func() (dedupe.Store, error) { return nil, errAway }}
	_ = b.guard.app.store.Destruct()
	w, err := b.serve(b.request(event("1")), says(200, ""))
	wantRefusal(t, w, err, webhook.StoreUnavailable, http.StatusServiceUnavailable)
}

func TestACopyInAnotherGatewayIsWaitedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		edit   func(*Guard)
		states []dedupe.State // one for each time of asking; the last one stays
		want   webhook.Result
		asked  int
		waited time.Duration
	}{
		"until it is done":    {nil, []dedupe.State{dedupe.InFlight, dedupe.InFlight, dedupe.Done}, webhook.Duplicate, 3, 75 * time.Millisecond},
		"until it has failed": {nil, []dedupe.State{dedupe.InFlight, dedupe.Claimed}, webhook.Forwarded, 2, 25 * time.Millisecond},
		"until the wait is over": {func(g *Guard) { g.InFlight = &config.InFlight{Wait: 1e9} },
			[]dedupe.State{dedupe.InFlight}, webhook.InFlight, 7, time.Second},
		"not at all": {func(g *Guard) { g.InFlight = &config.InFlight{Reject: true} },
			[]dedupe.State{dedupe.InFlight}, webhook.InFlight, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, tc.edit)
				states := tc.states
				b.store.claim = func() (dedupe.Answer, error) {
					answer := dedupe.Answer{State: states[0], Status: 204}
					if len(states) > 1 {
						states = states[1:]
					}
					return answer, nil
				}
				begun := time.Now()
				b.guard.counts.duration = prometheus.ObserverFunc(func(took float64) {
					if took != 0 {
						t.Errorf("the guard's own time has the waiting in it: %v s", took)
					}
				})
				w, _ := b.serve(b.request(event("1")), says(200, ""))
				if got := w.Header().Get(headerResult); got != string(tc.want) {
					t.Errorf("%s, want %s", got, tc.want)
				}
				if n, waited := b.store.count("claim"), time.Since(begun); n != tc.asked || waited != tc.waited {
					t.Errorf("asked %d times, want %d; waited %s, want %s", n, tc.asked, waited, tc.waited)
				}
				if len(b.guard.app.store.flights.byKey) > 0 {
					t.Error("a flight is left behind")
				}
			})
		})
	}
}

// A copy for which there is no place to wait is refused at once, and counted.
func TestACopyWithoutAPlaceToWaitIsInFlightAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		first := b.exchange(event("1"))
		flight, _ := first.store.flights.join(first.event.Keys, first.event.Owned())
		first.store.flights.waiting = maxWaiting
		before, start := counted.Sum(t, b.guard.metrics.requests), time.Now()
		w, err := b.serve(b.request(event("1")), says(http.StatusOK, ""))
		if got := w.Header().Get(headerResult); got != string(webhook.InFlight) || w.Header().Get("Retry-After") != retryAfter {
			t.Errorf("%s with Retry-After %q: %v", got, w.Header().Get("Retry-After"), err)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("after %v", waited)
		}
		if n := counted.Sum(t, b.guard.metrics.requests) - before; n != 1 {
			t.Errorf("counted %v times", n)
		}
		first.store.flights.waiting = 0
		first.store.flights.finish(flight, dedupe.Event{}, dedupe.Success{})
	})
}
