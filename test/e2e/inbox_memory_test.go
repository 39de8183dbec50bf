package e2e

import (
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A Redis at its maxmemory refuses what takes memory: new events get 503. What it has is
// delivered all the same, failures and retries too, or nothing would ever make room.
func TestAnInboxIsDeliveredByARedisWithoutMemory(t *testing.T) {
	t.Parallel()
	s, redis := inboxes(t, func(d testbed.Delivery) testbed.Answer {
		if d.Header.Get("Webhook-Guard-Attempt") == "1" {
			return testbed.Answer{Status: 500}
		}
		return testbed.Answer{}
	}, "retry 50ms")
	g := s.start(t)
	s.app.Stop()
	events := accepted(t, g, 10)
	g.WaitOutput("it gets the event again")
	setMemory := func(most string) {
		t.Helper()
		if _, err := redis.Do("CONFIG", "SET", "maxmemory", most); err != nil {
			t.Fatal(err)
		}
	}
	setMemory("1")
	refused := testbed.Event{}.Fill()
	want(t, deliverTo(t, g, refused), 503, "store_unavailable")
	s.app.Start()
	for _, e := range events {
		becomes(t, g, e, "duplicate")
	}
	want(t, deliverTo(t, g, refused), 503, "store_unavailable")
	setMemory("0")
	testbed.Eventually(t, soon, func() bool { return deliverTo(t, g, refused).Status == 200 }, "the event to be accepted")
	becomes(t, g, refused, "duplicate")
}
