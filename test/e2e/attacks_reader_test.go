package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// deaf sends a request and reads its answer badly or not at all, until the test ends.
type deaf struct {
	what string
	send func(t *testing.T, req *http.Request, body []byte)
}

func deafSenders() []deaf {
	return []deaf{
		{"HTTP/1.1, reads nothing", func(t *testing.T, req *http.Request, body []byte) {
			post11(t, req, body)
		}},
		{"HTTP/1.1, reads a byte at a time", func(t *testing.T, req *http.Request, body []byte) {
			conn := post11(t, req, body)
			go func() {
				for one := make([]byte, 1); ; time.Sleep(20 * time.Millisecond) {
					if _, err := conn.Read(one); err != nil {
						return
					}
				}
			}()
		}},
		{"HTTP/2, reads nothing", func(t *testing.T, req *http.Request, body []byte) {
			client := &http.Transport{Protocols: new(http.Protocols)}
			client.Protocols.SetUnencryptedHTTP2(true)
			t.Cleanup(client.CloseIdleConnections)
			resp, err := client.RoundTrip(withBody(req, body))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = resp.Body.Close() })
		}},
	}
}

// post11 sends a request over a connection with little room for its answer.
func post11(t *testing.T, req *http.Request, body []byte) *net.TCPConn {
	t.Helper()
	conn := dial(t, req)
	if err := conn.SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	say(t, conn, wire(req, "Content-Length: "+strconv.Itoa(len(body)))+string(body))
	return conn
}

// A sender that does not read its answer keeps neither its event claimed, nor the body in
// memory, nor the process from stopping.
func TestAttackSenderDoesNotReadItsAnswer(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("0123456789abcdef"), mebibyte)
	answers := map[string]testbed.Answer{ // by the type of the event
		"long": {Body: long}, "chunked": {Body: long, Chunked: true}, "failed": {Body: long, Status: http.StatusInternalServerError},
		"held back": {Body: long[:64<<10]},
	}
	var answered sync.Map // the IDs that were
	app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
		if _, again := answered.LoadOrStore(d.Header.Get("Webhook-Guard-Id"), true); again {
			return testbed.Answer{}
		}
		return answers[d.Header.Get("Webhook-Guard-Event")]
	})
	g := site{
		store: "memory", global: "servers {\n\t\tprotocols h1 h2c\n\t}",
		routes: route("", "docrouter", proxy(app), secretOf(testbed.DocRouter()), "timeout 20s", "body_timeout 12s"),
	}.start(t)
	s, sent := testbed.DocRouter(), make(map[string]testbed.Event)
	for kind := range answers {
		for _, d := range deafSenders() {
			e := testbed.Event{Type: kind}.Fill()
			sent[kind+", "+d.what] = e
			d.send(t, s.Request(t, g.URL(""), e), s.Body(e))
		}
	}
	app.WaitCount(len(sent))
	testbed.Eventually(t, soon, func() bool {
		return metric(g, "webhook_guard_in_flight") == 0 && metric(g, "webhook_guard_buffered_bytes") == 0
	}, "the events are settled and their memory is free")
	for what, e := range sent {
		if resp := testbed.Do(t, s.Request(t, g.URL(""), e)); resp.Guard != "duplicate" && resp.Guard != "forwarded" {
			t.Errorf("%s: a copy of the event got %s", what, resp)
		}
	}
	stopsSoon(t, g)
}

// A sender that reads none of many refusals does not keep the process from stopping.
func TestAttackSenderDoesNotReadRefusals(t *testing.T) {
	t.Parallel()
	s, app := testbed.DocRouter(), testbed.StartApp(t, nil)
	g := site{store: "memory", routes: route("", s.Name, proxy(app), secretOf(s), "timeout 3s", "lease 3s", "body_timeout 1s")}.start(t)
	req := s.Request(t, g.URL(""), testbed.Event{})
	conn := post11(t, req, nil)
	var sent sync.WaitGroup
	sent.Go(func() {
		many := strings.Repeat("GET "+req.URL.Path+" HTTP/1.1\r\nHost: a.test\r\n\r\n", 200)
		for range 1000 {
			if _, err := conn.Write([]byte(many)); err != nil {
				return
			}
		}
	})
	refused := func() float64 {
		return metric(g, "webhook_guard_requests_total", "provider", s.Name, "result", "method_not_allowed")
	}
	before := -1.0
	testbed.Eventually(t, 4*soon, func() bool {
		now := refused()
		stands := now > 1000 && now == before
		before = now
		time.Sleep(200 * time.Millisecond)
		return stands
	}, "the gateway cannot send more refusals")
	stopsSoon(t, g)
	_ = conn.Close() // or else its last write waits for the kernel to give the gateway's side up
	sent.Wait()
}

// stopsSoon fails the test unless the gateway ends, and ends well, as soon as nobody has
// to be waited for.
func stopsSoon(t *testing.T, g *testbed.Gateway) {
	t.Helper()
	begun := time.Now()
	if err := g.Stop(); err != nil {
		t.Errorf("the gateway ended badly: %v", err)
	}
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("the gateway took %s to stop", took)
	}
}

// stalledConn is a connection whose client stops reading after some bytes, whatever its
// windows allow.
type stalledConn struct {
	net.Conn
	left  atomic.Int64
	ended chan struct{}
}

func (c *stalledConn) Read(p []byte) (int, error) {
	left := c.left.Load()
	if left <= 0 {
		<-c.ended
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), left)])
	c.left.Add(-int64(n))
	return n, err
}

// Not even where its connection moves no byte does a sender of several events over HTTP/2
// keep them.
func TestAttackSenderStallsItsConnection(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
		return testbed.Answer{Body: bytes.Repeat([]byte("0123456789abcdef"), mebibyte)}
	})
	g := site{
		store: "memory", global: "servers {\n\t\tprotocols h1 h2c\n\t}",
		routes: route("", "docrouter", proxy(app), secretOf(testbed.DocRouter()), "timeout 20s", "body_timeout 12s"),
	}.start(t)
	conn := &stalledConn{ended: make(chan struct{})}
	conn.left.Store(mebibyte)
	client := &http.Transport{Protocols: new(http.Protocols), MaxConnsPerHost: 1, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		tcp, err := d.DialContext(ctx, network, addr)
		if err == nil {
			err = tcp.(*net.TCPConn).SetReadBuffer(4 << 10)
		}
		conn.Conn = tcp
		return conn, err
	}}
	client.Protocols.SetUnencryptedHTTP2(true)
	const events = 8
	s := testbed.DocRouter()
	warm, err := http.NewRequest(http.MethodGet, g.URL("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.RoundTrip(warm)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	conn.left.Store(100)
	ctx, cancel := context.WithCancel(t.Context())
	var sent sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		close(conn.ended)
		sent.Wait()
	})
	for range events {
		e := testbed.Event{}.Fill()
		req := withBody(s.Request(t, g.URL(""), e), s.Body(e)).WithContext(ctx)
		sent.Go(func() {
			if resp, err := client.RoundTrip(req); err == nil {
				_ = resp.Body.Close()
			}
		})
	}
	app.WaitCount(events)
	testbed.Eventually(t, soon, func() bool {
		return metric(g, "webhook_guard_in_flight") == 0 && metric(g, "webhook_guard_buffered_bytes") == 0
	}, "the events are settled and their memory is free")
	stopsSoon(t, g)
}

// A sender that reads slowly, but reads, gets the whole of a long answer.
func TestSlowReaderGetsTheWholeAnswer(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
		return testbed.Answer{Body: bytes.Repeat([]byte("0123456789abcdef"), mebibyte)}
	})
	// The whole takes longer than body_timeout, and no part of it does. A reader that stands
	// still takes longer for a part too, by chance: it tries again with more time.
	var err error
	for _, limit := range []time.Duration{time.Second, 4 * time.Second, 15 * time.Second} {
		lines := []string{secretOf(testbed.DocRouter()), "body_timeout " + limit.String()}
		g := site{store: "memory", routes: route("", "docrouter", proxy(app), lines...)}.start(t)
		s, e := testbed.DocRouter(), testbed.Event{}.Fill()
		if err = readSlowly(t, s.Request(t, g.URL(""), e), s.Body(e), limit/25); err == nil {
			want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), http.StatusOK, "duplicate")
			return
		}
	}
	t.Error(err)
}

// readSlowly sends a request and reads an answer of 16 MiB, with a pause after each of 64
// parts at least.
func readSlowly(t *testing.T, req *http.Request, body []byte, pause time.Duration) error {
	t.Helper()
	conn := dial(t, req)
	say(t, conn, wire(req, "Content-Length: "+strconv.Itoa(len(body)))+string(body))
	got := 0
	for part := make([]byte, 256<<10); got < 16*mebibyte; time.Sleep(pause) {
		n, err := conn.Read(part)
		if got += n; err != nil {
			return fmt.Errorf("after %d bytes: %w", got, err)
		}
	}
	return nil
}
