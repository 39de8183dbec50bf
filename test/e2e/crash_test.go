package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func TestTwoGatewaysOnOneRedisHandleEachEventOnce(t *testing.T) {
	t.Parallel()
	redis := testbed.StartRedis(t)
	app := testbed.StartApp(t, nil)
	conf := setup{store: testbed.RedisStore(redis.URL()), app: app, lines: "in_flight wait 30s"}
	gateways := []*testbed.Gateway{conf.start(t), conf.start(t)}
	const events = 60
	for name, c := range copies {
		t.Run(name, func(t *testing.T) {
			before := app.Count()
			var answered [][]<-chan reply
			for range events {
				e := testbed.Event{}.Fill()
				var one []<-chan reply
				for n := range 4 {
					one = append(one, sendAsync(c.copyOf(t, gateways[n%2].URL(""), e, n)))
				}
				answered = append(answered, one)
			}
			for i, one := range answered {
				got := tally(waitAll(t, one))
				if got["200 forwarded"] != 1 || got["200 duplicate"] != 3 {
					t.Errorf("the copies of event %d got %v, want one forwarded and three duplicates", i, got)
				}
			}
			wantCalls(t, app, before+events)
		})
	}
}

// hangFirst answers every delivery but the first, which hangs until its gateway
// is gone.
func hangFirst(d testbed.Delivery) testbed.Answer {
	if d.N == 1 {
		<-d.Gone
		return testbed.Answer{Drop: true}
	}
	return testbed.Answer{}
}

func TestAnotherGatewayTakesOverWhenTheLeaseOfAKilledOneEnds(t *testing.T) {
	t.Parallel()
	redis := testbed.StartRedis(t)
	for name, c := range copies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := testbed.StartApp(t, hangFirst)
			const lease = 3 * time.Second
			conf := setup{store: testbed.RedisStore(redis.URL()), app: app, lines: "lease 3s\n\t\t\tin_flight wait 30s"}
			killed := conf.start(t)
			conf.lines = "in_flight wait 30s"
			other := conf.start(t)
			e := testbed.Event{}.Fill()
			var begun time.Time // the lease cannot begin earlier
			broken := untilAtApp(t, app, func() *http.Request {
				begun = time.Now()
				return c.copyOf(t, killed.URL(""), e, 0)
			})
			killed.Kill()
			if r := <-broken; r.err == nil {
				t.Fatalf("a killed gateway answered %v", r.Response)
			}
			want(t, testbed.Do(t, c.copyOf(t, other.URL(""), e, 1)), 200, "forwarded")
			if took := time.Since(begun); took < lease-50*time.Millisecond {
				t.Errorf("taken over after %v, within the lease of %v", took, lease)
			}
			wantCalls(t, app, 2)
			want(t, testbed.Do(t, c.copyOf(t, other.URL(""), e, 2)), 200, "duplicate")
			wantCalls(t, app, 2)
		})
	}
}

// DocIntell gives up 15 seconds after its first attempt, so the lease that a crash
// leaves behind must have ended by then.
func TestDocIntellRetriesOutliveACrash(t *testing.T) {
	t.Parallel()
	redisStore := func(t *testing.T) string { return testbed.RedisStore(testbed.StartRedis(t).URL()) }
	for name, c := range map[string]struct {
		store   func(t *testing.T) string
		another bool // the retries go to another gateway, not to the same one restarted
		lines   string
	}{
		"memory, restarted":                  {store: func(*testing.T) string { return "memory" }},
		"disk, restarted":                    {store: func(*testing.T) string { return "disk" }},
		"redis, restarted":                   {store: redisStore},
		"redis, another gateway":             {store: redisStore, another: true},
		"redis, another, copies not waiting": {store: redisStore, another: true, lines: "in_flight reject"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := testbed.StartApp(t, hangFirst)
			conf := setup{store: c.store(t), app: app, lines: c.lines, defaultLease: true}
			g := conf.start(t)
			next := g
			if c.another {
				next = conf.start(t)
			}
			e := testbed.Event{}.Fill()
			var begun time.Time
			broken := untilAtApp(t, app, func() *http.Request {
				begun = time.Now()
				return testbed.DocIntell().Request(t, g.URL(""), e)
			})
			g.Kill()
			<-broken
			if !c.another {
				g.Start()
			}
			var answers []testbed.Response
			for _, at := range []time.Duration{time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second} {
				// An attempt that got a late answer leaves no pause before the next.
				time.Sleep(time.Until(begun.Add(at)))
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // DocIntell's own
				resp, err := testbed.Try(testbed.DocIntell().Request(t, next.URL(""), e).WithContext(ctx))
				cancel()
				if err == nil && resp.Status < 300 {
					want(t, resp, 200, "forwarded")
					wantCalls(t, app, 2)
					want(t, testbed.Do(t, testbed.DocIntell().Request(t, next.URL(""), e)), 200, "duplicate")
					return
				}
				if err == nil && resp.Status < 500 {
					t.Fatalf("DocIntell takes %v as final", resp)
				}
				answers = append(answers, resp)
			}
			t.Fatalf("DocIntell gave up; its retries got %v", answers)
		})
	}
}

// While the app works, the claim is renewed: no other gateway forwards a copy,
// however long it takes.
func TestLeaseIsRenewedWhileTheAppWorks(t *testing.T) {
	t.Parallel()
	redis := testbed.StartRedis(t)
	for name, c := range copies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hold := newGate(t)
			app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
				if d.N > 1 {
					return testbed.Answer{} // so that the test fails at once
				}
				return testbed.Answer{Status: 202, Wait: hold.c}
			})
			// Two thirds of it are left at least, which is more than a machine stands still for.
			const lease = 21 * time.Second
			conf := setup{store: testbed.RedisStore(redis.URL()), app: app, lines: "lease 21s\n\t\t\tin_flight wait 200ms"}
			holder, other := conf.start(t), conf.start(t)
			e := testbed.Event{}.Fill()
			first := sendAsync(c.copyOf(t, holder.URL(""), e, 0))
			app.WaitCount(1)
			for begun := time.Now(); time.Since(begun) < lease+lease/4; {
				want(t, testbed.Do(t, c.copyOf(t, other.URL(""), e, 1)), 503, "in_flight")
			}
			hold.open()
			want(t, wait(t, first), 202, "forwarded")
			want(t, testbed.Do(t, c.copyOf(t, other.URL(""), e, 1)), 202, "duplicate")
			wantCalls(t, app, 1)
		})
	}
}

// A gateway that was frozen for longer than its lease has lost its claim. The outcome
// that it learns afterwards must not undo what other gateways did meanwhile.
func TestRevivedGatewayUndoesNothing(t *testing.T) {
	t.Parallel()
	redis := testbed.StartRedis(t)
	for name, c := range map[string]struct {
		status int  // that the first call's app answers to the revived gateway
		during bool // the second call is still with the app when it does
	}{
		"fails after the other's success":    {status: 500},
		"succeeds after the other's success": {status: 200},
		"fails while the other works":        {status: 500, during: true},
		"succeeds while the other works":     {status: 200, during: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two := newGate(t), newGate(t)
			app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
				if d.N == 1 {
					return testbed.Answer{Status: c.status, Wait: one.c}
				}
				return testbed.Answer{Status: 202, Wait: two.c}
			})
			conf := setup{store: testbed.RedisStore(redis.URL()), app: app, lines: "lease 3s\n\t\t\tin_flight wait 30s",
				more: map[string]string{"/reject": "in_flight reject"}}
			frozen := conf.start(t)
			conf.lines = "in_flight wait 30s" // and a lease that does not end while it works
			other := conf.start(t)
			e := testbed.Event{}.Fill()
			attempt := func(g *testbed.Gateway, prefix string) *http.Request {
				return testbed.Struktr().Request(t, g.URL(prefix), e)
			}
			first := untilAtApp(t, app, func() *http.Request { return attempt(frozen, "") })
			frozen.Freeze()
			second := sendAsync(attempt(other, ""))
			app.WaitCount(2) // the lease has ended

			if !c.during {
				two.open()
				want(t, wait(t, second), 202, "forwarded")
			}
			frozen.Thaw()
			one.open()
			result := "forwarded"
			if c.status == 500 {
				result = "upstream_failed"
			}
			want(t, wait(t, first), c.status, result)
			switch {
			case c.during && c.status == 500:
				for _, g := range []*testbed.Gateway{frozen, other} {
					want(t, testbed.Do(t, attempt(g, "/reject")), 503, "in_flight")
				}
			case c.during: // a success counts, whoever holds the claim
				want(t, testbed.Do(t, attempt(frozen, "/reject")), 200, "duplicate")
			}
			if c.during {
				two.open()
				want(t, wait(t, second), 202, "forwarded")
			}
			for _, g := range []*testbed.Gateway{frozen, other} {
				if resp := testbed.Do(t, attempt(g, "")); resp.Guard != "duplicate" || resp.Status/100 != 2 {
					t.Errorf("a later copy got %v, want a duplicate", resp)
				}
			}
			wantCalls(t, app, 2)
		})
	}
}
