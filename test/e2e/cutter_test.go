package e2e

import (
	"bytes"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// cutter is a relay to a Redis. At the step that it is told it stops everything, so that a
// gateway can be killed just there, or a replica be left behind.
type cutter struct {
	port int

	mu    sync.Mutex
	to    string
	stop  cutAt
	cut   chan struct{} // closed when the step is reached; nil without one
	conns map[net.Conn]bool
}

// cutAt is where a relay stops, by what passes: one of these. An empty text is in everything.
type cutAt struct {
	request []byte // a request with this, which does not reach Redis
	replyTo []byte // the reply to a request with this, which does not reach the gateway
	reply   []byte // a reply with this, likewise
}

func startCutter(t *testing.T, redis *testbed.Redis) *cutter {
	t.Helper()
	c := &cutter{to: redis.Addr(), port: testbed.FreePort(t), conns: make(map[net.Conn]bool)}
	listener, err := net.Listen("tcp", c.addr())
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
			server, err := net.Dial("tcp", c.upstream())
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

func (c *cutter) addr() string { return fmt.Sprintf("127.0.0.1:%d", c.port) }

func (c *cutter) upstream() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.to
}

// leadTo has new connections go to another Redis, and ends the others.
func (c *cutter) leadTo(redis *testbed.Redis) {
	c.mu.Lock()
	c.to = redis.Addr()
	c.mu.Unlock()
	c.open()
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
