package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// sender that stays, or hangs up before the reload.
var senderStays = map[string]bool{"the sender waits": true, "the sender hung up": false}

func TestReloadInTheMiddleOfARequestLosesNeitherClaimNorCommit(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		for name, change := range map[string]func(*setup){
			"nothing of ours changes": func(s *setup) { s.tail = "http:// {\n\trespond other\n}\n" },
			"other lines":             func(s *setup) { s.lines = "in_flight wait 25s\n\t\t\tlease 40s" },
			"other store options":     func(s *setup) { s.store = otherOptions(store) },
		} {
			for who, stays := range senderStays {
				t.Run(name+", "+who, func(t *testing.T) {
					t.Parallel()
					hold := newGate(t)
					app, cancelled := startHeldApp(t, hold, testbed.Answer{Status: 202})
					conf := setup{store: store, app: app, lines: "in_flight wait 30s"}
					g := conf.start(t)
					e := testbed.Event{}.Fill()
					first := begin(t, testbed.Struktr().Request(t, g.URL(""), e), app, stays)
					app.WaitCount(1)
					change(&conf)
					// Twice: the second finds no trace of the first configuration.
					for n := range 2 {
						conf.global = fmt.Sprintf("\tgrace_period %ds", n+60)
						if err := g.Reload(conf.caddyfile()); err != nil {
							t.Fatal(err)
						}
					}
					copied := sendAfterReload(func() *http.Request { return otherDeliveryID(t, g.URL(""), e, 1) })
					bodiesRead(t, g, "struktr", 2)
					wantCalls(t, app, 1)
					hold.open()
					if stays {
						want(t, wait(t, first), 202, "forwarded")
					}
					want(t, wait(t, copied), 202, "duplicate")
					want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)), 202, "duplicate")
					wantCalls(t, app, 1)
					if <-cancelled {
						t.Error("the reload cancelled the app's request")
					}
				})
			}
		}
	})
}

// load sends new events, each followed by a copy of it, until stop closes.
type load struct {
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	wrong   []string
	events  int
	answers int
}

func startLoad(t *testing.T, g *testbed.Gateway, workers int) *load {
	l := &load{stop: make(chan struct{})}
	for range workers {
		l.done.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
					l.event(t, g.URL(""))
				}
			}
		})
	}
	return l
}

func (l *load) event(t *testing.T, base string) {
	e := testbed.Event{}.Fill()
	for _, expected := range []string{"forwarded", "duplicate"} {
		resp, err := tryAcrossReload(func() *http.Request { return testbed.DocRouter().Request(t, base, e) })
		if err != nil {
			t.Error(err)
		}
		l.mu.Lock()
		if l.answers++; resp.Status != 200 || resp.Guard != expected {
			l.wrong = append(l.wrong, fmt.Sprintf("%v, want %s", resp, expected))
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	l.events++
	l.mu.Unlock()
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events
}

func TestTenReloadsUnderLoadDisturbNobody(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		for name, other := range map[string]string{
			"same store":          store,
			"other store options": otherOptions(store),
		} {
			t.Run(name, func(t *testing.T) {
				app := testbed.StartApp(t, nil)
				conf := setup{store: store, app: app}
				g := conf.start(t)
				l := startLoad(t, g, 4)
				for n := range 10 {
					done := l.count()
					conf.store = []string{other, store}[n%2]
					conf.lines = fmt.Sprintf("in_flight wait %ds", 20+n)
					if err := g.Reload(conf.caddyfile()); err != nil {
						t.Fatal(err)
					}
					testbed.Eventually(t, soon, func() bool { return l.count() >= done+8 }, "events after a reload")
				}
				close(l.stop)
				l.done.Wait()
				if len(l.wrong) > 0 {
					t.Errorf("%d answers of %d are wrong: %s", len(l.wrong), l.answers, strings.Join(l.wrong, "; "))
				}
				wantCalls(t, app, l.events)
				// Every request that reached a guard was answered: no connection broke with a request in it.
				if got := metric(g, "webhook_guard_requests_total", "provider", "docrouter"); got != float64(l.answers) {
					t.Errorf("%v requests were counted over the reloads, and %d answered", got, l.answers)
				}
			})
		}
	})
}

// otherOptions is the same store with other options.
func otherOptions(store string) string {
	switch {
	case store == "memory":
		return store + " {\n\t\t\tmax_entries 100000\n\t\t}"
	case !isShared(store): // the disk store has none: the line beside it
		return store + "\n\t\tmax_buffered 100MiB"
	}
	return strings.TrimSuffix(store, "}") + "\tpool_size 100\n\t\t}"
}

// A configuration that is refused, or that fails to start, changes nothing: neither
// events in flight, nor remembered events, nor limits.
func TestFailedReloadChangesNothing(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		var hold gate
		hold.c = make(chan struct{})
		t.Cleanup(hold.open)
		slow := testbed.Event{}.Fill()
		app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
			if strings.Contains(string(d.Body), slow.ID) {
				return testbed.Answer{Wait: hold.c}
			}
			return testbed.Answer{}
		})
		conf := setup{store: store, app: app, lines: "in_flight wait 30s"}
		g := conf.start(t)
		known := testbed.Event{}.Fill()
		want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), known)), 200, "forwarded")
		first := sendAsync(testbed.DocRouter().Request(t, g.URL(""), slow))
		app.WaitCount(2)

		bounds := store
		if store == "memory" {
			bounds += " {\n\t\t\tmax_entries 1\n\t\t}"
		}
		bounds += "\n\t\tmax_buffered 1KB"
		for _, bad := range []struct {
			why  string
			conf setup
		}{
			{"unknown line", setup{store: store, app: app, lines: "no_such_line x"}},
			{"unset secret", setup{store: store, app: app, tail: "http:// {\n\twebhook_guard stripe {\n\t\tsecret {env.UNSET}\n\t}\n}\n"}},
			// Everything provisions; then a listener fails.
			{"port in use", setup{store: bounds, app: app, tail: "http://127.0.0.1:" + fmt.Sprint(app.Port()) + " {\n\trespond x\n}\n"}},
		} {
			if err := g.Reload(bad.conf.caddyfile()); err == nil {
				t.Fatalf("%s: the configuration was accepted", bad.why)
			}
			want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), known)), 200, "duplicate")
			e := testbed.Event{Type: strings.Repeat("x", 900)}.Fill() // more than 1 KB
			if resp := testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), e)); resp.Status != 200 || resp.Guard != "forwarded" {
				t.Errorf("after the reload that failed for %s, a new event got %v", bad.why, resp)
			}
		}
		copied := sendAsync(testbed.DocRouter().Request(t, g.URL(""), slow))
		hold.open()
		want(t, wait(t, first), 200, "forwarded")
		want(t, wait(t, copied), 200, "duplicate")
		wantCalls(t, app, 5)
	})
}

// A request whose body is still arriving belongs to the configuration that it began
// under. That configuration has been cleaned up by the time of the claim.
func TestReloadWhileABodyArrives(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		conf := setup{store: store, app: app}
		g := conf.start(t)
		e := testbed.Event{}.Fill()
		req := testbed.DocRouter().Request(t, g.URL(""), e)
		body, rest := io.Pipe()
		whole, err := io.ReadAll(req.Body)
		if err != nil {
			t.Fatal(err)
		}
		req.Body, req.GetBody = body, nil
		first := sendAsync(req)
		if _, err := rest.Write(whole[:10]); err != nil {
			t.Fatal(err)
		}
		testbed.Eventually(t, soon, func() bool {
			return metric(g, "webhook_guard_buffered_bytes") > 0
		}, "the body's beginning at the guard")
		conf.store = otherOptions(store)
		if err := g.Reload(conf.caddyfile()); err != nil {
			t.Fatal(err)
		}
		if _, err := rest.Write(whole[10:]); err != nil {
			t.Fatal(err)
		}
		if err := rest.Close(); err != nil {
			t.Fatal(err)
		}
		want(t, wait(t, first), 200, "forwarded")
		want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), e)), 200, "duplicate")
		wantCalls(t, app, 1)
	})
}
