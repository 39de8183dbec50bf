package inboxes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed/counted"
)

// rig is an inbox with a worker, in a bubble where time is the test's.
type rig struct {
	t     *testing.T
	in    *Inbox
	store *faulty
	queue inbox.Queue
	logs  *observer.ObservedLogs
	stop  context.CancelFunc
	users sync.WaitGroup

	calls      atomic.Int64
	remembered atomic.Int64
	most       atomic.Int64 // at once
	now        atomic.Int64
}

// faulty is a store whose queues fail while they are told to.
type faulty struct {
	inbox.Store
	away   atomic.Bool // does not answer
	closed atomic.Bool // gives out events, and takes no settlements
	takes  atomic.Int64
}

type faultyQueue struct {
	inbox.Queue
	store *faulty
}

var errAway = errors.New("the store is away")

func (f *faulty) Queue(name string, o inbox.Options) (inbox.Queue, error) {
	q, err := f.Store.Queue(name, o)
	return faultyQueue{q, f}, err
}

func (q faultyQueue) Take(ctx context.Context, n int, lease time.Duration) (inbox.Batch, error) {
	if q.store.away.Load() {
		return inbox.Batch{}, errAway
	}
	q.store.takes.Add(1)
	return q.Queue.Take(ctx, n, lease)
}

func (q faultyQueue) Settle(ctx context.Context, k inbox.Key, t inbox.Token, s inbox.Settlement) error {
	if q.store.away.Load() || q.store.closed.Load() {
		return errAway
	}
	return q.Queue.Settle(ctx, k, t, s)
}

// run runs a test with an app behind the inbox, on the simplest store.
func run(t *testing.T, c Config, app func(w http.ResponseWriter, r *http.Request) error, test func(*rig)) {
	runOn(t, func(*testing.T) inbox.Store { return queuetest.NewModel(time.Now) }, c, app, test)
}

// runOn runs a test with a store that is opened in the bubble, and has its time.
func runOn(t *testing.T, open func(*testing.T) inbox.Store, c Config, app func(w http.ResponseWriter, r *http.Request) error, test func(*rig)) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		g := &rig{t: t, store: &faulty{Store: open(t)}, logs: logs}
		for field, initial := range map[*caddy.Duration]time.Duration{
			&c.RetryFor: defaultRetryFor, &c.Timeout: defaultTimeout, &c.Keep: defaultKeep, &c.KeepDead: defaultKeepDead,
		} {
			if *field == 0 {
				*field = caddy.Duration(initial)
			}
		}
		if c.Concurrency == 0 {
			c.Concurrency = defaultConcurrency
		}
		if c.Retry == nil {
			c.Retry = defaultRetry
		}
		success, err := config.ParseStatuses([]string{"2xx"})
		if err != nil {
			t.Fatal(err)
		}
		if c.giveUp, err = config.ParseStatuses(c.GiveUp); err != nil {
			t.Fatal(err)
		}
		c.Name = "payments"
		g.in = &Inbox{Config: &c, success: success, metrics: sharedMetrics(), logger: zap.New(core), wake: make(chan struct{}, 1)}
		g.in.remember = func(inbox.Key, []string) { g.remembered.Add(1) }
		g.in.sign = func(http.Header, []byte, inbox.Key) error { return nil }
		g.in.tries = func(ctx context.Context, _ context.CancelFunc, _ *body.Reader, _ bool) (context.Context, func() error) {
			return ctx, ctx.Err
		}
		g.in.handler = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			g.calls.Add(1)
			if n := g.now.Add(1); n > g.most.Load() {
				g.most.Store(n)
			}
			defer g.now.Add(-1)
			return app(w, r)
		})
		if g.queue, err = g.in.opened(g.store); err != nil {
			t.Fatal(err)
		}
		g.work()
		test(g)
		g.stop()
		g.users.Wait()
	})
}

// work starts a worker.
func (g *rig) work() {
	ctx, cancel := context.WithCancel(context.Background())
	background, end := context.WithCancel(context.Background())
	g.stop = func() { cancel(); end() }
	host := Host{Enter: func() bool { g.users.Add(1); return true }, Leave: g.users.Done, Background: background}
	g.users.Go(func() { newWorker(g.in, g.queue, host).work(ctx) })
}

func (g *rig) put(n int) {
	g.t.Helper()
	e := inbox.Envelope{Method: "POST", URI: "/hook", Scheme: "https", Host: "example.com", RemoteAddr: "192.0.2.1:1", Body: []byte("{}")}
	for range n {
		ev := inbox.Event{Key: inbox.Key(inbox.NewToken()), ID: "evt", Envelope: e.Encode()}
		if a, err := g.in.Put(context.Background(), g.store, ev); a != inbox.Accepted || err != nil {
			g.t.Fatal(a, err)
		}
	}
}

func (g *rig) status() inbox.Status {
	s, err := g.queue.Status(context.Background())
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

// wait lets the bubble's time pass, and everything that is due in it happen.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func answers(status int) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(status)
		return nil
	}
}

func TestAnEventIsDeliveredAsItIsPut(t *testing.T) {
	run(t, Config{}, func(w http.ResponseWriter, r *http.Request) error {
		if r.Header.Get(headerAttempt) != "1" || r.TLS == nil || r.RemoteAddr != "192.0.2.1:1" || r.Host != "example.com" || r.URL.Path != "/hook" {
			t.Errorf("the app got %+v", r)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}, func(g *rig) {
		wait(10 * time.Minute) // idle
		g.put(3)
		wait(0)
		if s := g.status(); s.Done != 3 || g.calls.Load() != 3 {
			t.Errorf("%+v after %d calls, want 3 done at once", s, g.calls.Load())
		}
	})
}

func TestAnEventIsGivenUpByAge(t *testing.T) {
	run(t, Config{RetryFor: caddy.Duration(time.Hour)}, answers(500), func(g *rig) {
		g.put(1)
		wait(59 * time.Minute)
		if s := g.status(); s.Delayed != 1 {
			t.Fatalf("%+v before its time is over", s)
		}
		wait(2 * time.Minute)
		if s := g.status(); s.Dead != 1 || s.Reasons[reasonAge] != 1 {
			t.Errorf("%+v after its time is over, want it dead", s)
		}
		// 5s 30s 2m 10m 30m and the last one when the hour is over
		if n := g.calls.Load(); n != 7 {
			t.Errorf("the app was asked %d times, want 7", n)
		}
		if s := g.status(); s.Held {
			t.Error("a 500 is the event's, and the inbox is held")
		}
	})
}

// What the app takes long after it was accepted is remembered from then on: its time began when
// it was accepted.
func TestWhatIsDeliveredLateIsRememberedOnceMore(t *testing.T) {
	var well atomic.Bool
	run(t, Config{Retry: []caddy.Duration{caddy.Duration(time.Second)}}, func(w http.ResponseWriter, r *http.Request) error {
		return answers(map[bool]int{false: 500, true: 200}[well.Load()])(w, r)
	}, func(g *rig) {
		g.put(2)
		wait(rememberAfter / 2)
		well.Store(true)
		wait(10 * time.Second)
		if s := g.status(); s.Done != 2 || g.remembered.Load() != 0 {
			t.Fatalf("%+v, and %d were remembered once more", s, g.remembered.Load())
		}
		well.Store(false)
		g.put(3)
		wait(2 * rememberAfter)
		if n := g.remembered.Load(); n != 0 {
			t.Errorf("%d failures were remembered", n)
		}
		well.Store(true)
		wait(10 * time.Second)
		if s := g.status(); s.Done != 5 || g.remembered.Load() != 3 {
			t.Errorf("%+v, and %d were remembered once more, want 3", s, g.remembered.Load())
		}
	})
}

// An event whose attempts never end, as it kills its gateways, is not taken for ever.
func TestAnEventThatKillsGatewaysIsGivenUp(t *testing.T) {
	run(t, Config{RetryFor: caddy.Duration(time.Hour)}, answers(500), func(g *rig) {
		g.stop()
		g.users.Wait()
		g.put(1)
		for range 100 {
			if _, err := g.queue.Take(context.Background(), 1, lease); err != nil {
				t.Fatal(err)
			}
			wait(time.Minute)
		}
		delivered := counted.Sum(t, g.in.metrics.delivery)
		g.work()
		wait(time.Second)
		if s := g.status(); s.Dead != 1 || g.calls.Load() != 0 {
			t.Errorf("%+v after %d calls, want it dead without another", s, g.calls.Load())
		}
		if n := counted.Sum(t, g.in.metrics.delivery) - delivered; n != 0 {
			t.Errorf("%g times that the app took are counted, and it was not asked", n)
		}
	})
}

// What the app has done is kept until the store knows it, and not done again meanwhile.
func TestASuccessOutlivesAStoreThatIsAway(t *testing.T) {
	var g *rig
	run(t, Config{}, func(w http.ResponseWriter, _ *http.Request) error {
		g.store.away.Store(true)
		w.WriteHeader(http.StatusOK)
		return nil
	}, func(r *rig) {
		g = r
		g.put(1)
		wait(time.Hour)
		if s := g.status(); s.Done != 0 || g.calls.Load() != 1 {
			t.Fatalf("%+v after %d calls", s, g.calls.Load())
		}
		if n := g.logs.FilterMessageSnippet("store does not answer").Len(); n > 3600/int(lastPause.Seconds())+20 {
			t.Errorf("%d lines in an hour", n)
		}
		g.store.away.Store(false)
		wait(lastPause)
		if s := g.status(); s.Done != 1 || g.calls.Load() != 1 {
			t.Errorf("%+v after %d calls, want it done and not delivered again", s, g.calls.Load())
		}
		g.put(1) // the worker has not ended
		wait(0)
		if g.calls.Load() != 2 {
			t.Error("the worker delivers nothing more")
		}
	})
}

// The lease is extended for as long as the app works, and timeout ends that.
func TestASlowAppKeepsItsEvent(t *testing.T) {
	run(t, Config{}, func(w http.ResponseWriter, r *http.Request) error {
		select {
		case <-time.After(4 * time.Minute):
			w.WriteHeader(http.StatusOK)
			return nil
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}, func(g *rig) {
		g.put(1)
		wait(3 * time.Minute)
		if s := g.status(); s.Leased != 1 {
			t.Fatalf("%+v while the app works", s)
		}
		wait(2 * time.Minute)
		if s := g.status(); s.Done != 1 || g.calls.Load() != 1 {
			t.Errorf("%+v after %d calls", s, g.calls.Load())
		}
	})
	run(t, Config{Timeout: caddy.Duration(time.Minute)}, func(_ http.ResponseWriter, r *http.Request) error {
		<-r.Context().Done()
		return r.Context().Err()
	}, func(g *rig) {
		g.put(1)
		wait(61 * time.Second)
		if s := g.status(); s.Delayed != 1 || g.logs.FilterMessageSnippet("the app failed").Len() != 1 {
			t.Errorf("%+v after timeout", s)
		}
	})
}

func TestRateAndConcurrencyBoundTheApp(t *testing.T) {
	run(t, Config{Rate: &Rate{10, caddy.Duration(time.Minute)}}, answers(200), func(g *rig) {
		g.put(30)
		wait(time.Minute)
		if n := g.calls.Load(); n < 10 || n > 12 {
			t.Errorf("%d events in the first minute, want 10", n)
		}
		wait(2 * time.Minute)
		if s := g.status(); s.Done != 30 {
			t.Errorf("%+v after three minutes", s)
		}
	})
	run(t, Config{Concurrency: 3}, func(w http.ResponseWriter, _ *http.Request) error {
		time.Sleep(time.Second)
		w.WriteHeader(http.StatusOK)
		return nil
	}, func(g *rig) {
		g.put(31)
		wait(10500 * time.Millisecond)
		if n := g.calls.Load(); n != 31 || g.most.Load() != 3 {
			t.Errorf("%d events in ten seconds, %d at once; want 31 and 3", n, g.most.Load())
		}
	})
}

// Whatever the handlers do, the worker lives and the event is retried.
func TestFailuresOfHandlersAreRetried(t *testing.T) {
	for name, c := range map[string]struct {
		app  func(http.ResponseWriter, *http.Request) error
		say  string
		away bool
	}{
		"nothing answers": {func(http.ResponseWriter, *http.Request) error { return nil }, "nothing in the deliver block", false},
		"a panic":         {func(http.ResponseWriter, *http.Request) error { panic("a bug") }, "panicked", true},
		"a broken answer": {func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("half"))
			return nil
		}, "broke off", true},
		"only a 1xx": {answers(103), "nothing in the deliver block", false},
		"an error":   {func(http.ResponseWriter, *http.Request) error { return fmt.Errorf("a dial failed") }, "a dial failed", false},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, Config{}, c.app, func(g *rig) {
				g.put(awayAfter)
				wait(time.Second / 2)
				s := g.status()
				if s.Delayed != awayAfter || s.Held != c.away {
					t.Errorf("%+v, want all delayed, and held: %v", s, c.away)
				}
				page, err := g.queue.Page(context.Background(), inbox.Filter{}, "", 1)
				if err != nil {
					t.Fatal(err)
				}
				record, err := g.queue.Get(context.Background(), page.Events[0].Key)
				if err != nil || len(record.Attempts) != 1 || !contains(record.Attempts[0].Error, c.say) {
					t.Errorf("%+v, %v; want an attempt that says %q", record, err, c.say)
				}
			})
		})
	}
}

// The coders of envelopes have channels, which may not belong to one test's bubble.
func TestMain(m *testing.M) {
	if _, err := inbox.DecodeEnvelope((&inbox.Envelope{}).Encode()); err != nil {
		panic(err)
	}
	m.Run()
}
