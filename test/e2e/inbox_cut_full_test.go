//go:build full

package e2e

import (
	"crypto/sha1"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// scriptOf returns what names a script to Redis.
func scriptOf(t *testing.T, parts ...string) []byte {
	t.Helper()
	var source []byte
	for _, part := range parts {
		text, err := os.ReadFile(filepath.Join("..", "..", part))
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, text...)
	}
	sum := sha1.Sum(source)
	return []byte(hex.EncodeToString(sum[:]))
}

// A gateway is killed between any two steps. Each event that was acknowledged is delivered
// then, each other one once its sender has sent it again; and twice only where the app had
// succeeded and Redis did not know it.
func TestAGatewayThatIsKilledBetweenTwoStepsLosesNothing(t *testing.T) {
	t.Parallel()
	const dedupe, queue = "dedupe/redis/", "inbox/redis/"
	lane := queue + "lane.lua"
	for name, c := range map[string]struct {
		request   []string // the script whose request does not reach Redis
		reply     []string // the script whose reply does not reach the gateway
		taken     bool     // the reply that is stopped is that which brings the event to the gateway
		answered  bool     // the sender had its 200 before
		meanwhile bool     // the event is taken at the same time, so its first attempt may or may not end with the gateway
		calls     int
		last      string // attempt
	}{
		"before the claim":                {request: []string{dedupe + "claim.lua"}, calls: 1, last: "1"},
		"claimed, before the put":         {request: []string{lane, queue + "accept.lua"}, calls: 1, last: "1"},
		"put, its reply lost":             {reply: []string{lane, queue + "accept.lua"}, calls: 1, last: "1"},
		"put, before the commit":          {request: []string{dedupe + "commit.lua"}, meanwhile: true},
		"committed, the answer lost":      {reply: []string{dedupe + "commit.lua"}, meanwhile: true},
		"taken, before the app has it":    {taken: true, answered: true, calls: 1, last: "2"},
		"success, before it is settled":   {request: []string{lane, queue + "settle.lua"}, answered: true, calls: 2, last: "2"},
		"success settled, its reply lost": {reply: []string{lane, queue + "settle.lua"}, answered: true, calls: 1, last: "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := testbed.StartRedis(t)
			relay := startCutter(t, redis)
			app := testbed.StartApp(t, nil)
			s := inboxSetup{store: testbed.RedisStore("redis://" + relay.addr()), app: app, guard: "lease 3s"}
			g := s.start(t)
			warm := testbed.Event{}.Fill() // so that Redis knows all scripts
			want(t, deliverTo(t, g, warm), 200, "accepted")
			becomes(t, g, warm, "duplicate")

			e := testbed.Event{}.Fill()
			var at cutAt
			switch {
			case c.taken:
				at.reply = []byte("ev-" + e.ID)
			case c.request != nil:
				at.request = scriptOf(t, c.request...)
			default:
				at.replyTo = scriptOf(t, c.reply...)
			}
			reached := relay.at(at)
			answered := sendAsync(testbed.DocRouter().Request(t, g.URL(""), e))
			if c.answered {
				want(t, wait(t, answered), 200, "accepted")
			}
			select {
			case <-reached:
			case <-testbed.After(soon):
				t.Fatal("the gateway does not come to that step")
			}
			g.Kill()
			if !c.answered {
				if r := <-answered; r.err == nil {
					t.Fatalf("the sender was answered %v by a gateway that was killed", r.Response)
				}
			}
			relay.open()
			g.Start()
			// As senders do: until it is a 2xx, and once more.
			testbed.Eventually(t, soon, func() bool {
				again := e
				again.Sent = time.Now()
				resp := deliverTo(t, g, again)
				if resp.Status != 503 && resp.Status != 200 {
					t.Errorf("a sender that tries again gets %v", resp)
				}
				return resp.Status == 200
			}, "the sender to have its 200")
			testbed.Eventually(t, 3*soon, func() bool { return deliverTo(t, g, e).Guard == "duplicate" }, "the event to be finished")
			of := deliveriesOf(app, e)
			if c.meanwhile {
				c.calls, c.last = min(max(1, len(of)), 2), of[len(of)-1].Header.Get("Webhook-Guard-Attempt")
				if c.calls == 2 && c.last != "2" {
					t.Errorf("the second delivery is attempt %s", c.last)
				}
			}
			if len(of) != c.calls {
				t.Fatalf("the app got the event %d times, want %d", len(of), c.calls)
			}
			if got := of[len(of)-1].Header.Get("Webhook-Guard-Attempt"); got != c.last {
				t.Errorf("the last delivery is attempt %s, want %s", got, c.last)
			}
		})
	}
}
