package e2e

import (
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func TestMetricsOfAnInbox(t *testing.T) {
	t.Parallel()
	s, redis := inboxes(t, func(d testbed.Delivery) testbed.Answer {
		switch d.N {
		case 1:
			return testbed.Answer{Status: 500}
		case 2:
			return testbed.Answer{}
		}
		return testbed.Answer{Status: 410}
	}, "retry 10ms", "give_up 410", "max_events 1")
	g := s.start(t)
	e := testbed.Event{}.Fill()
	want(t, deliverTo(t, g, e), 200, "accepted")
	becomes(t, g, e, "duplicate")
	want(t, deliverTo(t, g, testbed.Event{}), 200, "accepted")
	s.app.WaitCount(3)
	counted := func(name string, n float64, labels ...string) {
		t.Helper()
		testbed.Eventually(t, soon, func() bool {
			return metric(g, "webhook_guard_inbox_"+name, append([]string{"inbox", "docrouter"}, labels...)...) == n
		}, name)
	}
	counted("attempts_total", 1, "outcome", "success")
	counted("attempts_total", 1, "outcome", "retry")
	counted("attempts_total", 1, "outcome", "give_up")
	counted("dead_total", 1, "reason", "status 410")
	counted("wait_seconds", 1)
	counted("delivery_seconds", 3)
	// What the store has is looked at when the configuration loads.
	if err := g.Reload(s.caddyfile() + "\n# again\n"); err != nil {
		t.Fatal(err)
	}
	counted("events", 1, "state", "dead")
	counted("events", 1, "state", "done")
	counted("events", 0, "state", "ready")
	redis.Stop()
	want(t, deliverTo(t, g, testbed.Event{}), 503, "store_unavailable")
	counted("refused_total", 1, "reason", "store")
	want(t, deliverTo(t, g, e), 503, "store_unavailable")
	counted("refused_total", 2, "reason", "store")
	counted("refused_total", 0, "reason", "full")
}
