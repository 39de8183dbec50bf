//go:build full

package e2e

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// cutter is a relay between a gateway and Redis. At the step that it is told it stops
// everything, so that a gateway can be killed just there.
type cutter struct {
	to   string
	port int

	mu    sync.Mutex
	stop  cutAt
	cut   chan struct{} // closed when the step is reached; nil without one
	conns map[net.Conn]bool
}

// cutAt is where a relay stops, by what passes: one of these.
type cutAt struct {
	request []byte // a request with this, which does not reach Redis
	replyTo []byte // the reply to a request with this, which does not reach the gateway
	reply   []byte // a reply with this, likewise
}

func startCutter(t *testing.T, redis *testbed.Redis) *cutter {
	t.Helper()
	c := &cutter{to: redis.Addr(), port: testbed.FreePort(t), conns: make(map[net.Conn]bool)}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", c.port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close(); c.open() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", c.to)
			if err != nil {
				_ = client.Close()
				continue
			}
			c.mu.Lock()
			c.conns[client], c.conns[server] = true, true
			c.mu.Unlock()
			asked := make(chan bool, 1)
			asked <- false
			go c.pass(client, server, asked, true)
			go c.pass(server, client, asked, false)
		}
	}()
	return c
}

// at has the relay stop at a step.
func (c *cutter) at(s cutAt) (reached <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stop, c.cut = s, make(chan struct{})
	return c.cut
}

// open ends all connections, and lets new ones pass.
func (c *cutter) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = nil
	for conn := range c.conns {
		_ = conn.Close()
	}
	clear(c.conns)
}

// pass passes on what it reads, as long as nothing is to be stopped. asked has whether the
// connection's reply is to be stopped.
func (c *cutter) pass(from, to net.Conn, asked chan bool, requests bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			_ = to.Close()
			return
		}
		if c.stops(buffer[:n], asked, requests) {
			return // the connection stays, until open closes it
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			_ = from.Close()
			return
		}
	}
}

func (c *cutter) stops(data []byte, asked chan bool, requests bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut == nil {
		return false
	}
	select {
	case <-c.cut:
		return true // already
	default:
	}
	has := func(text []byte) bool { return text != nil && bytes.Contains(data, text) }
	var stop bool
	if requests {
		stop = has(c.stop.request)
		if has(c.stop.replyTo) {
			<-asked
			asked <- true
		}
	} else {
		stop = <-asked || has(c.stop.reply)
		asked <- stop
	}
	if stop {
		close(c.cut)
	}
	return stop
}

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
			s := inboxSetup{store: fmt.Sprintf("redis redis://127.0.0.1:%d", relay.port), app: app, guard: "lease 3s"}
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
