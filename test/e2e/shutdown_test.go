package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// stopAsync asks a gateway to end, and returns when it has begun to.
func stopAsync(g *testbed.Gateway) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- g.Stop() }()
	g.WaitOutput("shutting down apps")
	return ended
}

func TestShutdownFinishesAndSettlesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		for who, stays := range senderStays {
			t.Run(who, func(t *testing.T) {
				t.Parallel()
				hold := newGate(t)
				app, cancelled := startHeldApp(t, hold, testbed.Answer{Status: 202, Body: []byte("done")})
				conf := setup{store: store, app: app}
				g := conf.start(t)
				e := testbed.Event{}.Fill()
				first := begin(t, testbed.Struktr().Request(t, g.URL(""), e), app, stays)
				app.WaitCount(1)
				ended := stopAsync(g)
				select {
				case err := <-ended:
					t.Fatalf("the gateway ended (%v) while the app was working", err)
				case <-time.After(700 * time.Millisecond):
				}
				hold.open()
				if stays {
					resp := wait(t, first)
					want(t, resp, 202, "forwarded")
					if string(resp.Body) != "done" {
						t.Errorf("the answer's body is %q", resp.Body)
					}
				}
				if err := <-ended; err != nil {
					t.Errorf("the gateway ended badly: %v", err)
				}
				if <-cancelled {
					t.Error("the shutdown cancelled the app's request")
				}
				if store != "memory" {
					next := g
					if isShared(store) {
						next = conf.start(t)
					} else {
						g.Start()
					}
					want(t, testbed.Do(t, testbed.Struktr().Request(t, next.URL(""), e)), 202, "duplicate")
					want(t, testbed.Do(t, otherDeliveryID(t, next.URL(""), e, 0)), 202, "duplicate")
				}
				wantCalls(t, app, 1)
			})
		}
	})
}

// Copies that wait for an event's outcome get it while the gateway is shutting down.
func TestShutdownAnswersWaitingCopies(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		hold := newGate(t)
		app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer { return testbed.Answer{Wait: hold.c} })
		g := setup{store: store, app: app, lines: "in_flight wait 30s"}.start(t)
		e := testbed.Event{}.Fill()
		first := sendAsync(testbed.DocRouter().Request(t, g.URL(""), e))
		app.WaitCount(1)
		copied := sendAsync(testbed.DocRouter().Request(t, g.URL(""), e))
		bodiesRead(t, g, "docrouter", 2)
		ended := stopAsync(g)
		hold.open()
		want(t, wait(t, first), 200, "forwarded")
		want(t, wait(t, copied), 200, "duplicate")
		if err := <-ended; err != nil {
			t.Errorf("the gateway ended badly: %v", err)
		}
		wantCalls(t, app, 1)
	})
}

// What cannot be finished in time is left to its lease: the app may still be
// working on it, so another gateway must not forward it at once.
func TestShutdownThatRunsOutOfTimeLeavesClaimsToTheirLease(t *testing.T) {
	t.Parallel()
	hold := newGate(t)
	app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
		if d.N == 1 {
			return testbed.Answer{Wait: hold.c}
		}
		return testbed.Answer{}
	})
	const lease = 21 * time.Second
	conf := setup{store: testbed.RedisStore(testbed.StartRedis(t).URL()), app: app, global: "\tgrace_period 500ms",
		lines: "lease 21s\n\t\t\tin_flight wait 2m", more: map[string]string{"/reject": "in_flight reject"}}
	g, other := conf.start(t), conf.start(t)
	e := testbed.Event{}.Fill()
	begun := time.Now()
	hangUp(t, testbed.Struktr().Request(t, g.URL(""), e), app, 1)
	if err := <-stopAsync(g); err != nil {
		t.Logf("the gateway ended with %v, which this test does not judge", err)
	}
	want(t, testbed.Do(t, testbed.Struktr().Request(t, other.URL("/reject"), e)), 503, "in_flight")
	wantCalls(t, app, 1)
	want(t, testbed.Do(t, testbed.Struktr().Request(t, other.URL(""), e)), 200, "forwarded")
	if took := time.Since(begun); took < lease-50*time.Millisecond {
		t.Errorf("taken over after %v, within the lease of %v", took, lease)
	}
	wantCalls(t, app, 2)
}

// The grace period is one for all: the guard does not begin it anew when the servers have used
// it up. It has some seconds left then to settle what has ended.
func TestShutdownHasOneGracePeriod(t *testing.T) {
	t.Parallel()
	for who, stays := range senderStays {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			hold := newGate(t)
			app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer { return testbed.Answer{Wait: hold.c} })
			g := setup{store: "memory", app: app, global: "\tgrace_period 4s"}.start(t)
			begin(t, testbed.DocRouter().Request(t, g.URL(""), testbed.Event{}.Fill()), app, stays)
			app.WaitCount(1)
			if err := <-stopAsync(g); err != nil {
				t.Errorf("the gateway ended badly: %v", err)
			}
			if out := g.Output(); !strings.Contains(out, "exiting with events in flight") || strings.Contains(out, `"waited":4`) {
				t.Errorf("the guard waited for the whole grace period after the servers had:\n%s", out)
			}
		})
	}
}

// An event that succeeded while Redis was away is committed before the process
// ends, if Redis is back soon.
func TestShutdownWaitsForACommitThatIsRetried(t *testing.T) {
	t.Parallel()
	for !commitOutlivesShutdown(t) {
		t.Log("Redis came back too late: once more")
	}
}

// commitOutlivesShutdown reports whether Redis was back while the gateway still waited for it,
// which is three seconds. A machine that stands still just then leaves nothing to be judged.
func commitOutlivesShutdown(t *testing.T) (judged bool) {
	t.Helper()
	redis := testbed.StartRedis(t)
	hold := newGate(t)
	app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer { return testbed.Answer{Wait: hold.c} })
	g := setup{store: "redis " + redis.URL(), app: app}.start(t)
	e := testbed.Event{}.Fill()
	first := untilAtApp(t, app, func() *http.Request { return testbed.Struktr().Request(t, g.URL(""), e) })
	redis.Freeze()
	hold.open()
	want(t, wait(t, first), 200, "forwarded")
	begun := time.Now()
	ended := stopAsync(g)
	redis.Thaw()
	late := time.Since(begun) > 2*time.Second
	err := <-ended
	if late {
		return false
	}
	if err != nil {
		t.Errorf("the gateway ended badly: %v", err)
	}
	next := setup{store: testbed.RedisStore(redis.URL()), app: app}.start(t)
	want(t, testbed.Do(t, testbed.Struktr().Request(t, next.URL(""), e)), 200, "duplicate")
	wantCalls(t, app, 1)
	return true
}
