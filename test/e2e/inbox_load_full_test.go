//go:build full

package e2e

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// inboxLoad are senders that send each event until it is acknowledged.
type inboxLoad struct {
	t    *testing.T
	base string
	stop chan struct{}
	all  sync.WaitGroup

	mu     sync.Mutex
	events []testbed.Event
}

func startInboxLoad(t *testing.T, base string) *inboxLoad {
	t.Helper()
	l := &inboxLoad{t: t, base: base, stop: make(chan struct{})}
	for range 4 {
		l.all.Go(l.run)
	}
	t.Cleanup(l.end)
	return l
}

func (l *inboxLoad) run() {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		e := testbed.Event{}.Fill()
		for end := time.Now().Add(2 * soon); ; time.Sleep(20 * time.Millisecond) { // as senders do, only sooner
			e.Sent = time.Now()
			resp, err := testbed.Try(testbed.DocRouter().Request(l.t, l.base, e))
			if err == nil && resp.Status == http.StatusOK {
				break
			}
			if err == nil && resp.Status != http.StatusServiceUnavailable || time.Now().After(end) {
				l.t.Errorf("a sender was answered %v, %v", resp, err)
				return
			}
		}
		l.mu.Lock()
		l.events = append(l.events, e)
		l.mu.Unlock()
	}
}

// goOn waits until further events are acknowledged.
func (l *inboxLoad) goOn() {
	l.t.Helper()
	enough := len(l.acknowledged()) + 20
	testbed.Eventually(l.t, 2*soon, func() bool { return len(l.acknowledged()) >= enough }, "more events acknowledged")
}

func (l *inboxLoad) acknowledged() []testbed.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events
}

// end stops the senders. It may be called twice.
func (l *inboxLoad) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.all.Wait()
}

// delivered waits until every acknowledged event is finished, and returns the attempts of each
// that reached the app.
func (l *inboxLoad) delivered(app *testbed.App) map[string][]string {
	l.t.Helper()
	attempts := func() map[string][]string {
		of := make(map[string][]string)
		for _, d := range app.Deliveries() {
			id := d.Header.Get("Webhook-Guard-Id")
			of[id] = append(of[id], d.Header.Get("Webhook-Guard-Attempt"))
		}
		return of
	}
	testbed.Eventually(l.t, 4*soon, func() bool {
		of := attempts()
		for _, e := range l.acknowledged() {
			if len(of["ev-"+e.ID]) == 0 {
				return false
			}
		}
		return true
	}, "every acknowledged event to be delivered")
	return attempts()
}

// Reloads, and an inbox that is renamed and named as before again, lose no event under load
// and double none.
func TestReloadsAndRenamesUnderLoad(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		s := inboxes(func(testbed.Delivery) testbed.Answer {
			return testbed.Answer{Wait: testbed.After(20 * time.Millisecond)}
		}, "concurrency 4")
		s.name = "payments"
		g := s.start(t)
		l := startInboxLoad(t, g.URL(""))
		renamed, slower := s, s
		renamed.name, slower.lines = "orders", "concurrency 2"
		for range 2 {
			for _, next := range []inboxSetup{slower, renamed, s} {
				l.goOn()
				if err := g.Reload(next.caddyfile()); err != nil {
					t.Fatal(err)
				}
			}
		}
		l.goOn()
		l.end()
		// What was accepted under the other name waits until a guard has it.
		testbed.Eventually(t, 2*soon, func() bool { return !waits(t, g, "payments") }, "the inbox to be empty")
		if err := g.Reload(renamed.caddyfile()); err != nil {
			t.Fatal(err)
		}
		for id, attempts := range l.delivered(s.app) {
			if len(attempts) != 1 || attempts[0] != "1" {
				t.Errorf("%s was delivered as attempts %v, want once", id, attempts)
			}
		}
		if strings.Contains(g.Output(), "the app failed") {
			t.Error("a reload has made an attempt fail")
		}
	})
}

// waits reports whether an inbox has events that wait.
func waits(t *testing.T, g *testbed.Gateway, name string) bool {
	t.Helper()
	for _, state := range []string{"ready", "delayed", "leased"} {
		out, err := inboxCommand(t, g, "list", name, "--state", state)
		if err != nil || strings.Contains(out, "ev-") {
			return true
		}
	}
	return false
}

// A gateway under load is killed at any moment, and opens its store each time. Every event
// that was acknowledged is delivered; twice only as another attempt, as the first one ended
// with its gateway.
func TestAnInboxSurvivesKillsUnderLoad(t *testing.T) {
	t.Parallel()
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-kill-seed %d", seed)
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		random := rand.New(rand.NewPCG(seed, seed))
		s := inboxes(nil)
		s.guard = "lease 3s"
		g := s.start(t)
		l := startInboxLoad(t, g.URL(""))
		const kills = 6
		for range kills {
			l.goOn()
			time.Sleep(time.Duration(random.Int64N(int64(200 * time.Millisecond)))) // any moment will do
			g.Kill()
			g.Start()
		}
		l.goOn()
		l.end()
		twice := 0
		for id, attempts := range l.delivered(s.app) {
			seen := make(map[string]bool)
			for _, attempt := range attempts {
				if seen[attempt] {
					t.Errorf("%s was delivered as attempts %v: one of them twice", id, attempts)
				}
				seen[attempt] = true
			}
			twice += len(attempts) - 1
		}
		t.Logf("%d events, %d kills, delivered twice: %d", len(l.acknowledged()), kills, twice)
	})
}

// A durable inbox on Sentinel loses nothing when its master is killed under load: whoever had a
// 200 has the event on the master to be, too.
func TestADurableInboxSurvivesFailoversUnderLoad(t *testing.T) {
	t.Parallel()
	sentinels := testbed.StartSentinels(t, testbed.RedisSet{Args: []string{"--appendonly", "yes"}, DownAfter: testbed.DownSoon})
	sentinels.WaitOK()
	store := "redis " + strings.Join(sentinels.URLs(), " ") + " {\n\t\t\tsentinel " + testbed.MasterName + "\n\t\t}"
	s := inboxSetup{store: store, app: testbed.StartApp(t, nil), lines: "durable", guard: "lease 3s"}
	g := s.start(t)
	l := startInboxLoad(t, g.URL(""))
	for range 3 {
		l.goOn()
		gone := sentinels.Master()
		gone.Stop()
		sentinels.WaitFailover(gone)
		l.goOn()
		gone.Start()
		sentinels.WaitOK()
	}
	l.end()
	l.delivered(s.app)
}
