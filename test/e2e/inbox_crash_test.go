package e2e

import (
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A gateway that dies while the app works leaves the event to its lease. Then it is delivered
// again, as the second attempt, by whichever gateway is there.
func TestAnInboxDeliversAgainWhatDiedWithItsGateway(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		hold := newGate(t)
		s := inboxes(func(d testbed.Delivery) testbed.Answer {
			if d.N == 1 {
				return testbed.Answer{Wait: hold.c}
			}
			return testbed.Answer{}
		})
		g := s.start(t)
		e := testbed.Event{}.Fill()
		want(t, deliverTo(t, g, e), 200, "accepted")
		s.app.WaitCount(1)
		g.Kill()
		g.Start()
		want(t, deliverTo(t, g, e), 200, "queued")
		testbed.Eventually(t, 2*soon, func() bool { return s.app.Count() == 2 }, "the event to be delivered when its lease is over")
		if got := s.app.Deliveries()[1].Header.Get("Webhook-Guard-Attempt"); got != "2" {
			t.Errorf("attempt %s, want 2", got)
		}
		becomes(t, g, e, "duplicate")
	})
}
