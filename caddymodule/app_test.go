package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// fakeModule is a store module of the tests' own store.
type fakeModule struct {
	key     string
	open    func() (dedupe.Store, error)
	adopted *int
}

func (*fakeModule) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "webhook_guard.stores.fake", New: func() caddy.Module { return new(fakeModule) }}
}
func (m *fakeModule) PoolKey() string             { return m.key }
func (m *fakeModule) Open() (dedupe.Store, error) { return m.open() }
func (m *fakeModule) Adopt(dedupe.Store)          { *m.adopted++ }

// Across a reload a store stays open, and closes with the last configuration
// that names it.
func TestAStoreStaysOpenAcrossAReload(t *testing.T) {
	fake, opened, adopted := newFakeStore(), 0, 0
	module := func() *fakeModule {
		return &fakeModule{"fake " + t.Name(), func() (dedupe.Store, error) { opened++; return fake, nil }, &adopted}
	}
	newApp := func() *App { return &App{module: module(), metrics: sharedMetrics()} }

	before, after := newApp(), newApp()
	first, err := before.enter()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := before.enter(); err != nil || again != first {
		t.Fatalf("the second request has another store: %v", err)
	}
	second, err := after.enter()
	if err != nil || second != first || opened != 1 || adopted != 1 {
		t.Fatalf("opened %d times, adopted %d times, %v", opened, adopted, err)
	}
	first.leave()
	second.leave()
	for range 2 { // also when it runs twice
		if err := before.Cleanup(); err != nil {
			t.Fatal(err)
		}
	}
	wantClosed(t, fake, 0)
	if _, err := before.enter(); err != nil { // a request of the old configuration
		t.Fatal(err)
	}
	if err := after.Cleanup(); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, fake, 0) // two of its requests are still there
	first.leave()
	first.leave()
	wantClosed(t, fake, 1)
	// What was sent on a connection that the old configuration had accepted.
	late, err := after.enter()
	if err != nil || late == first || opened != 2 {
		t.Fatalf("a request after the end: %v, opened %d times", err, opened)
	}
	wantClosed(t, fake, 1)
	late.leave()
	wantClosed(t, fake, 2)
	if _, held := pool.References(module().key); held {
		t.Error("the pool still holds it")
	}
}

func TestAnAppThatEndedOpensNothing(t *testing.T) {
	app := &App{module: &fakeModule{key: t.Name(), open: func() (dedupe.Store, error) {
		t.Error("opened")
		return nil, nil
	}}, metrics: sharedMetrics()}
	if err := app.Cleanup(); err != nil { // as after a failed Provision
		t.Fatal(err)
	}
	if _, err := app.enter(); !errors.Is(err, dedupe.ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestAStoreThatDoesNotOpenHoldsNothing(t *testing.T) {
	app := &App{module: &fakeModule{key: t.Name(), open: func() (dedupe.Store, error) { return nil, errAway }}, metrics: sharedMetrics()}
	if _, err := app.enter(); !errors.Is(err, errAway) {
		t.Errorf("%v", err)
	}
	if err := app.Cleanup(); err != nil {
		t.Error(err)
	}
	if _, held := pool.References(t.Name()); held {
		t.Error("the pool holds a store that was never opened")
	}
}

// After a reload that failed the old configuration's bounds are in force again.
func TestBoundsFollowTheNewestAppInForce(t *testing.T) {
	var list appList
	defer func(wait int64, before *body.Budget) { exitWait.Store(wait); bodies = before }(exitWait.Load(), bodies)
	bodies = body.NewBudget(defaultMaxBuffered)
	a, b := &App{MaxBuffered: aShare, grace: 2}, &App{MaxBuffered: 2 * aShare, grace: 4}
	inForce := func(app *App) {
		t.Helper()
		if free := aShareIsFree(); free != (app == b) || exitWait.Load() != int64(app.grace) {
			t.Errorf("room for a share %t, wait %d", free, exitWait.Load())
		}
	}
	list.add(a)
	inForce(a)
	list.add(b)
	inForce(b)
	list.remove(b)
	inForce(a)
	list.add(b)
	list.remove(a)
	inForce(b)
	list.remove(b)
	inForce(b) // the last word stays
}

func TestExitWaitsForWorkAndNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer exitWait.Store(exitWait.Load())
		exitWait.Store(int64(2 * time.Second))
		begun := time.Now()
		waitForWork(context.Background())
		if waited := time.Since(begun); waited != 0 {
			t.Errorf("waited %s for nothing", waited)
		}
		work.Add(1)
		go func() {
			time.Sleep(time.Second)
			work.Done()
		}()
		waitForWork(context.Background())
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("waited %s for a second's work", waited)
		}
		work.Add(1)
		waitForWork(context.Background())
		if waited := time.Since(begun); waited != 3*time.Second {
			t.Errorf("waited %s for work that does not end", waited)
		}

		// What the servers have waited already is a part of it.
		defer exitBegan.Store(nil)
		exitWait.Store(int64(time.Minute))
		for before, want := range map[time.Duration]time.Duration{0: time.Minute, 20 * time.Second: 40 * time.Second, time.Minute: lastTries} {
			began := time.Now().Add(-before)
			exitBegan.Store(&began)
			if limit := exitLimit(); limit != want { // to wait for it would end the background of all tests
				t.Errorf("it may wait %s after the servers have waited %s", limit, before)
			}
		}
		work.Done()
	})
}

// Several guards share a registry and a scope, and every reload brings a new registry. The
// values survive it, and a guard that it takes out is no longer shown.
func TestMetricsAreRegisteredAgainAndKeepTheirValues(t *testing.T) {
	sharedMetrics().requests.DeleteLabelValues("test", "test", "forwarded") // of an earlier run
	const guards = 2
	shown := func(guards int) (values []float64) {
		registry := prometheus.NewPedanticRegistry()
		m, err := registerMetrics(registry)
		if err != nil {
			t.Fatal(err)
		}
		app := new(App)
		registry.MustRegister(guardSeries{m, func() []*App { return []*App{app} }})
		for range guards {
			app.watched.add(&Guard{metrics: m, counts: m.of("test", "test", false)})
			m.requests.WithLabelValues("test", "test", "forwarded").Inc()
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if family.GetName() == "webhook_guard_requests_total" && m.GetLabel()[1].GetValue() == "forwarded" {
					values = append(values, m.GetCounter().GetValue())
				}
			}
		}
		return values
	}
	shown(guards)
	if got := shown(guards); !slices.Equal(got, []float64{2 * guards}) {
		t.Errorf("after a reload %v is shown, want %d once", got, 2*guards)
	}
	if got := shown(0); len(got) > 0 {
		t.Errorf("%v is shown of a guard that no configuration has", got)
	}
	clash := prometheus.NewPedanticRegistry()
	clash.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "webhook_guard_body_bytes", Help: "another"}))
	if _, err := registerMetrics(clash); err == nil {
		t.Error("a registration that failed was no error")
	}
}

// JSON can express what the Caddyfile lines refuse. It is refused as well.
func TestTheAppRefusesWhatJSONCanSay(t *testing.T) {
	for want, app := range map[string]any{
		"max_buffered: -1 is not positive":           map[string]any{"max_buffered": -1},
		"unknown field":                              map[string]any{"max_bufferd": 1},
		"webhook_guard.stores.tape":                  map[string]any{"store": map[string]any{"kind": "tape"}},
		"provider stripe is built in":                map[string]any{"providers": map[string]any{"stripe": map[string]any{}}},
		"provider acme: lease: -1ns is not positive": map[string]any{"providers": map[string]any{"acme": map[string]any{"lease": -1}}},
	} {
		err := validate(string(caddyconfig.JSON(map[string]any{"apps": map[string]any{"webhook_guard": app}}, nil)))
		wantText(t, err, want)
	}
	if err := validate(`{"apps":{"webhook_guard":{}}}`); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

// Two guards in one route are a mistake that the sender's retries survive.
func TestASecondGuardIsRefusedWithItsHeaders(t *testing.T) {
	outer, inner := newBench(t, nil), newBench(t, nil)
	w, err := outer.serve(outer.request(event("1")), func(w http.ResponseWriter, r *http.Request) error {
		return inner.guard.ServeHTTP(w, r, says(200, ""))
	})
	wantRefusal(t, w, err, webhook.Misconfigured, http.StatusServiceUnavailable)
	if w.Header().Get("Retry-After") == "" || outer.store.count("commit") > 0 || outer.store.count("release") != 1 {
		t.Error("the event was not given back for a retry")
	}
}
