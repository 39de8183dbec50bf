package e2e

import (
	"slices"
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

// On a disk the sender has its 200 before the event is recorded as accepted. A gateway that
// dies in between leaves the event to its inbox, which knows a copy of it.
func TestAnInboxRecognisesWhatItsGatewayHadNoTimeToRecord(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		s := inboxes(nil, "retry 20ms")
		s.guard = "lease 2s"
		s.app.Stop() // so that no delivery is under way when the gateway is killed
		g := s.start(t)
		var events []testbed.Event
		for range 3 {
			e := testbed.Event{}.Fill()
			want(t, deliverTo(t, g, e), 200, "accepted")
			g.Kill()
			g.Start()
			testbed.Eventually(t, soon, func() bool {
				resp := deliverTo(t, g, e)
				if !slices.Contains([]string{"in_flight", "queued"}, resp.Guard) {
					t.Errorf("the copy gets %v", resp)
				}
				return resp.Guard == "queued"
			}, "the claim of the gateway that was killed to end")
			events = append(events, e)
		}
		s.app.Start()
		for _, e := range events {
			becomes(t, g, e, "duplicate")
			if n := len(deliveriesOf(s.app, e)); n != 1 {
				t.Errorf("an event was delivered %d times", n)
			}
		}
	})
}
