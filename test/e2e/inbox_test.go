package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// inboxSetup is a gateway with an inbox.
type inboxSetup struct {
	store string // what follows `store`
	app   *testbed.App
	name  string
	lines string // of the inbox
	guard string // of the guard
}

func (s inboxSetup) caddyfile() string {
	sender := testbed.DocRouter()
	return fmt.Sprintf(`{
	admin 127.0.0.1:{$ADMIN}
	grace_period 5s
	webhook_guard {
		store %s
	}
}
http://:{$PORT} {
	handle /webhooks/%s {
		webhook_guard %s {
			secret %s
			%s
			inbox %s {
				deliver {
					reverse_proxy %s {
						transport webhook
					}
				}
				%s
			}
		}
		error 500
	}
}
`, s.store, sender.Name, sender.Name, sender.Secret, withSteadyLease(s.guard), s.name, s.app.Addr(), s.lines)
}

func (s inboxSetup) start(t *testing.T) *testbed.Gateway {
	t.Helper()
	return testbed.StartGateway(t, s.caddyfile())
}

// inboxes starts a Redis and returns a setup on it.
func inboxes(t *testing.T, answer func(testbed.Delivery) testbed.Answer, lines ...string) (inboxSetup, *testbed.Redis) {
	t.Helper()
	redis := testbed.StartRedis(t)
	return inboxSetup{store: testbed.RedisStore(redis.URL()), app: testbed.StartApp(t, answer), lines: strings.Join(lines, "\n\t\t\t\t")}, redis
}

// onInboxStores runs a test for each store that has inboxes.
func onInboxStores(t *testing.T, test func(t *testing.T, inboxes func(answer func(testbed.Delivery) testbed.Answer, lines ...string) inboxSetup)) {
	t.Helper()
	for _, kind := range []string{"disk", "redis"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, func(answer func(testbed.Delivery) testbed.Answer, lines ...string) inboxSetup {
				s := inboxSetup{store: "disk " + t.TempDir(), app: testbed.StartApp(t, answer), lines: strings.Join(lines, "\n\t\t\t\t")}
				if kind == "redis" {
					s.store = testbed.RedisStore(testbed.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always").URL())
				}
				return s
			})
		})
	}
}

func deliverTo(t *testing.T, g *testbed.Gateway, e testbed.Event) testbed.Response {
	t.Helper()
	return testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), e))
}

// deliveriesOf are those of one event.
func deliveriesOf(app *testbed.App, e testbed.Event) (of []testbed.Delivery) {
	for _, d := range app.Deliveries() {
		if d.Header.Get("Webhook-Guard-Id") == "ev-"+e.ID {
			of = append(of, d)
		}
	}
	return of
}

// accepted has the guard accept n new events.
func accepted(t *testing.T, g *testbed.Gateway, n int) (events []testbed.Event) {
	t.Helper()
	for range n {
		e := testbed.Event{}.Fill()
		events = append(events, e)
		want(t, deliverTo(t, g, e), 200, "accepted")
	}
	return events
}

// becomes waits until copies of the event are answered with the result.
func becomes(t *testing.T, g *testbed.Gateway, e testbed.Event, result string) {
	t.Helper()
	testbed.Eventually(t, soon, func() bool { return deliverTo(t, g, e).Guard == result }, "a copy to be answered "+result)
}

func TestAnInboxAnswersAtOnceAndDelivers(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		hold := newGate(t)
		s := inboxes(func(testbed.Delivery) testbed.Answer { return testbed.Answer{Wait: hold.c} })
		g := s.start(t)
		e := testbed.Event{}.Fill()
		r := testbed.DocRouter().Request(t, g.URL(""), e)
		r.Header.Set("Webhook-Guard-Attempt", "77")
		r.Header.Set("Webhook-Guard-Replay", "true")
		want(t, testbed.Do(t, r), 200, "accepted")
		s.app.WaitCount(1)
		want(t, deliverTo(t, g, e), 200, "queued")
		hold.open()
		becomes(t, g, e, "duplicate")
		wantCalls(t, s.app, 1)
		d := s.app.Deliveries()[0]
		for name, text := range map[string]string{
			"Webhook-Guard": "verified", "Webhook-Guard-Attempt": "1", "Webhook-Guard-Replay": "", "Webhook-Guard-Provider": "docrouter",
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http",
		} {
			if got := strings.Join(d.Header.Values(name), ","); got != text {
				t.Errorf("the app got %s: %q, want %q", name, got, text)
			}
		}
		if d.Header.Get("Webhook-Guard-Id") == "" || d.Method != http.MethodPost || d.URL != "/webhooks/docrouter" || d.Host != r.Host {
			t.Errorf("the app got %s %s at %s, %v", d.Method, d.URL, d.Host, d.Header)
		}
		sent, _ := r.GetBody()
		body := make([]byte, len(d.Body)+1)
		if n, _ := sent.Read(body); string(body[:n]) != string(d.Body) {
			t.Errorf("the app got the body %q, want %q", d.Body, body[:n])
		}
	})
}

func TestAnInboxRetriesUntilTheAppIsBack(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		s := inboxes(nil, "retry 50ms 100ms")
		s.app.Stop()
		g := s.start(t)
		events := accepted(t, g, 20)
		g.WaitOutput("the app is away; the inbox is held")
		want(t, deliverTo(t, g, events[0]), 200, "queued")
		s.app.Start()
		for _, e := range events {
			becomes(t, g, e, "duplicate")
		}
		wantCalls(t, s.app, len(events))
		g.WaitOutput("the app is back; the inbox is released")
	})
}

func TestAnInboxGivesUpAndIsRevived(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		var healed atomic.Bool
		s := inboxes(func(testbed.Delivery) testbed.Answer {
			if healed.Load() {
				return testbed.Answer{}
			}
			return testbed.Answer{Status: 410, Body: []byte("gone")}
		}, "retry 20ms", "give_up 410 404")
		g := s.start(t)
		e := testbed.Event{}.Fill()
		want(t, deliverTo(t, g, e), 200, "accepted")
		g.WaitOutput("gave an event up")
		healed.Store(true)
		want(t, deliverTo(t, g, e), 200, "revived")
		becomes(t, g, e, "duplicate")
		wantCalls(t, s.app, 2)
		for _, d := range s.app.Deliveries() {
			if got := d.Header.Get("Webhook-Guard-Attempt"); got != "1" {
				t.Errorf("attempt %s, want 1 in each round", got)
			}
		}
	})
}

// The app's failures are the inbox's: each is tried again, until retry_for or the app's own
// word ends it.
func TestAnInboxHeedsTheAppsAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer testbed.Answer
		lines  []string
		output string
		most   int
	}{
		"too old":                {testbed.Answer{Status: 500}, []string{"retry 20ms", "retry_for 200ms"}, `"reason":"age"`, 30},
		"Webhook-Guard-Retry":    {testbed.Answer{Status: 500, Header: http.Header{"Webhook-Guard-Retry": {"no"}}}, []string{"retry 20ms"}, "refused by the app", 1},
		"Retry-After":            {testbed.Answer{Status: 503, Header: http.Header{"Retry-After": {"600"}}}, []string{"retry 20ms"}, `"retry_in":600`, 1},
		"longer than timeout":    {testbed.Answer{Wait: make(chan struct{})}, []string{"retry 10m", "timeout 200ms"}, "longer than timeout", 1},
		"a broken answer":        {testbed.Answer{Body: []byte("cut here"), Cut: true}, []string{"retry 10m"}, "broke off", 1},
		"success is not any 2xx": {testbed.Answer{Status: 302}, []string{"retry 10m"}, `"status":302`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
				s := inboxes(func(testbed.Delivery) testbed.Answer { return c.answer }, c.lines...)
				g := s.start(t)
				want(t, deliverTo(t, g, testbed.Event{}), 200, "accepted")
				g.WaitOutput(c.output)
				if n := s.app.Count(); n < 1 || n > c.most {
					t.Errorf("the app got the event %d times, want 1 to %d", n, c.most)
				}
			})
		})
	}
}

func TestAFullInboxIsA503(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		hold := newGate(t)
		s := inboxes(func(testbed.Delivery) testbed.Answer { return testbed.Answer{Wait: hold.c} }, "max_events 3")
		g := s.start(t)
		events := accepted(t, g, 3)
		refused := testbed.Event{}.Fill()
		resp := deliverTo(t, g, refused)
		want(t, resp, 503, "overloaded")
		if resp.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		hold.open()
		for _, e := range events {
			becomes(t, g, e, "duplicate")
		}
		want(t, deliverTo(t, g, refused), 200, "accepted")
		becomes(t, g, refused, "duplicate")
		wantCalls(t, s.app, 4)
	})
}

// An accepted event outlives its gateway, and the attempt that was under way is counted.
func TestAnInboxOutlivesItsGateway(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		s := inboxes(nil, "retry 10m")
		s.app.Stop()
		g := s.start(t)
		e := testbed.Event{}.Fill()
		want(t, deliverTo(t, g, e), 200, "accepted")
		g.WaitOutput("it gets the event again")
		g.Kill()
		s.app.Start()
		g.Start()
		want(t, deliverTo(t, g, e), 200, "queued")
		another := testbed.Event{}.Fill()
		want(t, deliverTo(t, g, another), 200, "accepted")
		becomes(t, g, another, "duplicate")
	})
}

func TestReloadsKeepAnInboxGoing(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		s := inboxes(nil, "retry 20ms")
		s.app.Stop()
		g := s.start(t)
		e := testbed.Event{}.Fill()
		want(t, deliverTo(t, g, e), 200, "accepted")
		// The route is that of the configuration in force.
		moved := s
		moved.app = testbed.StartApp(t, nil)
		if err := g.Reload(moved.caddyfile()); err != nil {
			t.Fatal(err)
		}
		becomes(t, g, e, "duplicate")
		wantCalls(t, moved.app, 1)
		// Events of an inbox that nobody names wait until somebody does.
		gone := moved
		moved.app.Stop()
		waits := testbed.Event{}.Fill()
		want(t, deliverTo(t, g, waits), 200, "accepted")
		gone.name = "renamed"
		if err := g.Reload(gone.caddyfile()); err != nil {
			t.Fatal(err)
		}
		g.WaitOutput("unrouted events")
		moved.app.Start()
		if err := g.Reload(moved.caddyfile()); err != nil {
			t.Fatal(err)
		}
		becomes(t, g, waits, "duplicate")
		wantCalls(t, moved.app, 2)
	})
}

// Two gateways share one inbox, and each event is delivered once.
func TestTwoGatewaysShareAnInbox(t *testing.T) {
	t.Parallel()
	s, _ := inboxes(t, nil)
	a, b := s.start(t), s.start(t)
	const many = 60
	for i := range many {
		g := []*testbed.Gateway{a, b}[i%2]
		want(t, deliverTo(t, g, testbed.Event{}), 200, "accepted")
	}
	s.app.WaitCount(many)
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
	ids := make(map[string]bool)
	for _, d := range s.app.Deliveries() {
		ids[d.Header.Get("Webhook-Guard-Id")] = true
	}
	if len(ids) != many || s.app.Count() != many {
		t.Errorf("%d deliveries of %d events, want %d of each", s.app.Count(), len(ids), many)
	}
}

func TestInboxesThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	s, _ := inboxes(t, nil)
	g := s.start(t)
	evicting := testbed.StartRedis(t, "--maxmemory-policy", "allkeys-lru")
	for name, c := range map[string]struct {
		change func(*inboxSetup)
		say    []string
	}{
		"memory":          {func(s *inboxSetup) { s.store = "memory" }, []string{"inbox", "store redis"}},
		"evicting":        {func(s *inboxSetup) { s.store = testbed.RedisStore(evicting.URL()) }, []string{"allkeys-lru", "noeviction"}},
		"no dedupe":       {func(s *inboxSetup) { s.guard = "on_store_error forward" }, []string{"inbox", "on_store_error"}},
		"an instruction":  {func(s *inboxSetup) { s.guard = "answer remember" }, []string{"inbox", "answer remember"}},
		"a varying scope": {func(s *inboxSetup) { s.guard = "scope {http.request.host}" }, []string{"name the inbox"}},
		"an unknown line": {func(s *inboxSetup) { s.lines = "retries 3" }, []string{"retries", "retry_for"}},
		"no such rate":    {func(s *inboxSetup) { s.lines = "rate fast" }, []string{"rate 10/1s"}},
	} {
		changed := s
		c.change(&changed)
		err := g.Reload(changed.caddyfile())
		if err == nil || slices.ContainsFunc(c.say, func(text string) bool { return !strings.Contains(err.Error(), text) }) {
			t.Errorf("%s: %v, want it to be refused with %q", name, err, c.say)
		}
	}
	e := testbed.Event{}.Fill()
	want(t, deliverTo(t, g, e), 200, "accepted")
	becomes(t, g, e, "duplicate")
}

// The app is called when the event is accepted, and not when the inbox is next looked at,
// which is once a second.
func TestAnIdleInboxDeliversAtOnce(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		s := inboxes(nil)
		g := s.start(t)
		best := time.Hour
		for n := range 20 {
			want(t, deliverTo(t, g, testbed.Event{}), 200, "accepted")
			begun := time.Now()
			s.app.WaitCount(n + 1)
			best = min(best, time.Since(begun))
		}
		if best > 500*time.Millisecond {
			t.Errorf("the app was called %s after the 200 at best", best)
		}
	})
}
