package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe/storetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A sender learns within this time that the store does not answer.
const storeUnavailableWithin = time.Second

// outages are the ways in which Redis fails: its port refuses connections, or accepts
// them without an answer.
var outages = map[string]struct{ begin, end func(*testbed.Redis) }{
	"stopped": {(*testbed.Redis).Stop, (*testbed.Redis).Start},
	"frozen":  {(*testbed.Redis).Freeze, (*testbed.Redis).Thaw},
}

// duringOutage is a Redis of a test's own, with the ways to begin and to end its outage,
// and an app.
type duringOutage struct {
	redis      *testbed.Redis
	app        *testbed.App
	begin, end func()
}

// onEachOutage runs a test for each kind of outage.
func onEachOutage(t *testing.T, test func(t *testing.T, name string, o duringOutage)) {
	t.Helper()
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := testbed.StartRedis(t)
			test(t, name, duringOutage{
				redis: redis, app: testbed.StartApp(t, nil),
				begin: func() { outage.begin(redis) }, end: func() { outage.end(redis) },
			})
		})
	}
}

// gateway starts a gateway on this Redis before this app, with the default timeout, which a
// busy machine may exceed while Redis is well: see onceStoreAnswers.
func (o duringOutage) gateway(t *testing.T, lines string) *testbed.Gateway {
	t.Helper()
	return setup{store: "redis " + o.redis.URL(), app: o.app, lines: lines}.start(t)
}

func TestOutageOfRedisIsA503WithinASecondAndEndsByItself(t *testing.T) {
	t.Parallel()
	onEachOutage(t, func(t *testing.T, name string, o duringOutage) {
		g := o.gateway(t, "")
		before := testbed.Event{}.Fill()
		want(t, onceStoreAnswers(t, g, before), 200, "forwarded")
		errorsBefore := metric(g, "webhook_guard_store_errors_total", "store", "redis", "op", "claim")

		o.begin()
		refused := testbed.Event{}.Fill()
		var took []time.Duration
		for _, sender := range testbed.Senders() {
			var resp testbed.Response
			took = append(took, storetest.Took(func() { resp = testbed.Do(t, sender.Request(t, g.URL(""), refused)) }))
			want(t, resp, 503, "store_unavailable")
			if resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s got no Retry-After: %v", sender.Name, resp.Header)
			}
		}
		// The gateway may be busy, but not five times in a row, and stand still once.
		slices.Sort(took)
		if took[0] > storeUnavailableWithin || took[3] > 3*storeUnavailableWithin || took[4] > 15*storeUnavailableWithin {
			t.Errorf("the 503s took %v, want %v each", took, storeUnavailableWithin)
		}
		wantCalls(t, o.app, 1)
		if got := metric(g, "webhook_guard_store_errors_total", "store", "redis", "op", "claim") - errorsBefore; got != 5 {
			t.Errorf("%v failed claims were counted, want 5", got)
		}

		o.end()
		recovered(t, g, refused)
		wantCalls(t, o.app, 2)
		if name == "frozen" { // the stopped one has no persistence
			want(t, onceStoreAnswers(t, g, before), 200, "duplicate")
		}
	})
}

// onceStoreAnswers sends an event until the answer is no 503, and returns that one.
func onceStoreAnswers(t *testing.T, g *testbed.Gateway, e testbed.Event) (resp testbed.Response) {
	t.Helper()
	testbed.Eventually(t, soon, func() bool {
		resp = testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), e))
		return resp.Status != 503
	}, "an answer that is no 503 while Redis is well")
	return resp
}

// recovered waits until an event that was refused is forwarded, and checks that it is
// remembered.
func recovered(t *testing.T, g *testbed.Gateway, e testbed.Event) {
	t.Helper()
	want(t, onceStoreAnswers(t, g, e), 200, "forwarded")
	want(t, onceStoreAnswers(t, g, e), 200, "duplicate")
}

func TestOnStoreErrorForwardForwardsAndCounts(t *testing.T) {
	t.Parallel()
	onEachOutage(t, func(t *testing.T, _ string, o duringOutage) {
		g := o.gateway(t, "on_store_error forward")
		without := func(g *testbed.Gateway) float64 {
			return metric(g, "webhook_guard_forwarded_without_dedupe_total", "provider", "docrouter")
		}
		// While Redis is well, this is about a gateway that a busy machine does not disturb.
		patient := setup{store: testbed.RedisStore(o.redis.URL()), app: o.app, lines: "on_store_error forward"}.start(t)
		want(t, testbed.Do(t, testbed.DocRouter().Request(t, patient.URL(""), testbed.Event{})), 200, "forwarded")
		if n := without(patient); n != 0 {
			t.Errorf("%v events were counted as forwarded without dedupe while Redis answered", n)
		}
		o.begin()
		for range 3 {
			want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), testbed.Event{})), 200, "forwarded")
		}
		forged := testbed.DocRouter().Request(t, g.URL(""), testbed.Event{})
		forged.Header.Set("X-DocRouter-Event-Id", "not signed, not minded")
		forged.Header.Set("X-DocRouter-Signature", "sha256="+testbed.NewID())
		if resp := testbed.Do(t, forged); resp.Status != 401 {
			t.Errorf("without its store the guard answered a forgery with %v", resp)
		}
		wantCalls(t, o.app, 4)
		if n := without(g); n != 3 {
			t.Errorf("%v events were counted as forwarded without dedupe, want 3", n)
		}
		o.end()
		testbed.Eventually(t, soon, func() bool {
			e := testbed.Event{}.Fill()
			want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), e)), 200, "forwarded")
			return testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), e)).Guard == "duplicate"
		}, "duplicates recognised after Redis is back")
	})
}

func TestGatewayStartsWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	onEachOutage(t, func(t *testing.T, _ string, o duringOutage) {
		o.begin()
		g := o.gateway(t, "")
		g.WaitOutput("the store does not answer")
		e := testbed.Event{}.Fill()
		want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), e)), 503, "store_unavailable")
		wantCalls(t, o.app, 0)
		o.end()
		recovered(t, g, e)
		wantCalls(t, o.app, 1)
	})
}

// The app has done the work: the sender gets its success, and the store the commit as
// soon as it is reachable.
func TestCommitIsRetriedAfterAnOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := testbed.StartRedis(t)
			hold := newGate(t)
			app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
				return testbed.Answer{Status: 202, Body: []byte("done"), Wait: hold.c}
			})
			conf := setup{store: "redis " + redis.URL(), app: app, lines: "in_flight wait 30s"}
			g := conf.start(t)
			conf.store = testbed.RedisStore(redis.URL())
			other := conf.start(t)
			e := testbed.Event{}.Fill()
			first := untilAtApp(t, app, func() *http.Request { return testbed.Struktr().Request(t, g.URL(""), e) })
			outage.begin(redis)
			hold.open()
			resp := wait(t, first)
			want(t, resp, 202, "forwarded")
			if string(resp.Body) != "done" {
				t.Errorf("the sender got the body %q, not the app's", resp.Body)
			}
			// This gateway knows the outcome without its store.
			want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)), 202, "duplicate")
			testbed.Eventually(t, soon, func() bool {
				return metric(g, "webhook_guard_commit_retries_total", "store", "redis") >= 2
			}, "the commit tried again, and counted")

			outage.end(redis)
			// The stopped one has lost the claims too, so nothing else would hold a
			// copy back until the commit is there.
			testbed.Eventually(t, soon, func() bool {
				size, err := redis.Do("DBSIZE")
				return err == nil && size == ":2"
			}, "content and ID in Redis")
			want(t, testbed.Do(t, otherDeliveryID(t, other.URL(""), e, 0)), 202, "duplicate")
			want(t, testbed.Do(t, testbed.Struktr().Request(t, other.URL(""), e)), 202, "duplicate")
			wantCalls(t, app, 1)
		})
	}
}

// untilAtApp sends an event until the app has it. Timeouts and leases that are short for a test's
// sake may end before that on a busy machine, which is a 503.
func untilAtApp(t *testing.T, app *testbed.App, request func() *http.Request) (first <-chan reply) {
	t.Helper()
	testbed.Eventually(t, 2*soon, func() bool {
		if first == nil {
			first = sendAsync(request())
		}
		select {
		case r := <-first:
			if r.err != nil || r.Status != 503 {
				t.Fatalf("before the app had the event, its sender got %v, %v", r.Response, r.err)
			}
			first = nil
		default:
		}
		return app.Count() > 0
	}, "the event at the app")
	return first
}

// A Redis that lost its claims gets back those whose events are still in progress.
func TestClaimIsTakenAgainAfterRedisForgotIt(t *testing.T) {
	t.Parallel()
	redis := testbed.StartRedis(t)
	hold := newGate(t)
	app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
		return testbed.Answer{Wait: hold.c}
	})
	conf := setup{store: testbed.RedisStore(redis.URL()), app: app, lines: "lease 30s\n\t\t\tin_flight reject"}
	g, other := conf.start(t), conf.start(t)
	e := testbed.Event{}.Fill()
	first := sendAsync(testbed.DocRouter().Request(t, g.URL(""), e))
	app.WaitCount(1)
	redis.Stop()
	redis.Start()
	testbed.Eventually(t, soon, func() bool {
		size, err := redis.Do("DBSIZE")
		return err == nil && size != ":0"
	}, "the claim back in Redis")
	want(t, testbed.Do(t, testbed.DocRouter().Request(t, other.URL(""), e)), 503, "in_flight")
	hold.open()
	want(t, wait(t, first), 200, "forwarded")
	want(t, testbed.Do(t, testbed.DocRouter().Request(t, other.URL(""), e)), 200, "duplicate")
	wantCalls(t, app, 1)
}

// The URL contains a password; Redis's error about it must not reveal it.
func TestWrongPasswordOfRedisIsReportedWithoutIt(t *testing.T) {
	t.Parallel()
	redis := testbed.StartRedis(t, "--requirepass", "the-right-one")
	app := testbed.StartApp(t, nil)
	g := setup{store: testbed.RedisStore("redis://:canary-redis-password@" + redis.Addr()), app: app}.start(t)
	g.WaitOutput("WRONGPASS")
	want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), testbed.Event{})), 503, "store_unavailable")
	wantCalls(t, app, 0)
	noCanary(t, "output", g.Output())
	right := setup{store: testbed.RedisStore("redis://:the-right-one@" + redis.Addr()), app: app}
	if err := g.Reload(right.caddyfile()); err != nil {
		t.Fatal(err)
	}
	want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), testbed.Event{})), 200, "forwarded")
}

func TestRedisThatMayEvictClaimsIsWarnedOf(t *testing.T) {
	t.Parallel()
	for policy, warned := range map[string]bool{"allkeys-lru": true, "volatile-ttl": true, "noeviction": false} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			redis := testbed.StartRedis(t, "--maxmemory-policy", policy)
			g := setup{store: testbed.RedisStore(redis.URL()), app: testbed.StartApp(t, nil)}.start(t)
			// It comes after the other one, if at all.
			g.WaitOutput("persistence is off")
			if got := containsAll(g.Output(), "maxmemory-policy", policy, "set maxmemory-policy noeviction"); got != warned {
				t.Errorf("warned of %s: %v, want %v", policy, got, warned)
			}
		})
	}
}
