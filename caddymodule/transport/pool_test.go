package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// until waits for a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

// A connection that the app has closed, or says something on that nobody asked for, is not
// used again. Nothing is lost on it.
func TestAConnectionIsLookedAt(t *testing.T) {
	for name, after := range map[string]action{
		"closed":      closes,
		"reset":       resets,
		"half closed": halfCloses,
		"unasked":     says("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
		"one byte":    says("\n"),
	} {
		t.Run(name, func(t *testing.T) {
			act, done := make(chan struct{}), make(chan struct{})
			var odd atomic.Int64
			a := startApp(t, func(conn net.Conn) {
				first := true
				eachRequest(conn, func(*http.Request, string) bool {
					if !first {
						odd.Add(1)
					}
					first = false
					_, _ = io.WriteString(conn, okAnswer)
					<-act
					last := !after(conn)
					if last {
						_ = conn.Close()
					}
					done <- struct{}{}
					return last
				})
			})
			p := startProxy(t, webhook(nil, a.address()))
			for range 3 {
				if status, text := p.post(t, "event"); status != 200 || text != "ok" {
					t.Fatal(status, text)
				}
				until(t, "the connection is kept", func() bool { return p.idle() == 1 })
				act <- struct{}{}
				<-done
				p.waitForNews(t)
			}
			if odd.Load() > 0 || a.connections.Load() != 3 {
				t.Errorf("%d connections, %d used again", a.connections.Load(), odd.Load())
			}
		})
	}
}

// waitForNews waits until what the app has done to a kept connection has arrived.
func (p *proxy) waitForNews(t *testing.T) {
	t.Helper()
	pool := &p.transport().pool
	until(t, "what the app has done arrives", func() bool {
		pool.mu.Lock()
		defer pool.mu.Unlock()
		for _, conns := range pool.idle {
			for _, c := range conns {
				if c.look.silent(c.raw) {
					return false
				}
			}
		}
		return true
	})
}

func TestConnectionsAreKeptForASecond(t *testing.T) {
	p := startProxy(t, webhook(settings{"keep_alive": nil}, "127.0.0.1:1"))
	keep := p.transport().KeepAlive
	if time.Duration(keep.IdleConnTimeout) != time.Second || keep.MaxIdleConnsPerHost != maxIdle {
		t.Errorf("kept for %s, %d of them", time.Duration(keep.IdleConnTimeout), keep.MaxIdleConnsPerHost)
	}
	p = startProxy(t, webhook(settings{"keep_alive": settings{"idle_timeout": "7s", "max_idle_conns_per_host": 3}}, "127.0.0.1:1"))
	if pool := &p.transport().pool; pool.idleTime != 7*time.Second || pool.perUpstream != 3 {
		t.Errorf("kept for %s, %d of them", pool.idleTime, pool.perUpstream)
	}
}

// What nobody uses is closed in time, and not before. Then nothing is remembered of it.
func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pool{perUpstream: 2, idleTime: time.Second, idle: make(map[upstream][]*conn)}
		to := upstream{network: "tcp", address: "a:1"}
		first, second := testConn(to), testConn(to)
		check := func(after time.Duration, firstOpen, secondOpen bool) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if isOpen(first) != firstOpen || isOpen(second) != secondOpen {
				t.Errorf("open are %t and %t, want %t and %t", isOpen(first), isOpen(second), firstOpen, secondOpen)
			}
		}
		p.put(first)
		check(400*time.Millisecond, true, true)
		p.put(second)
		check(600*time.Millisecond-1, true, true)
		check(1, false, true)
		check(400*time.Millisecond-1, false, true)
		check(1, false, false)
		if len(p.idle) != 0 || p.count != 0 || p.sweeping {
			t.Errorf("%d upstreams and %d connections are remembered, sweeping %t", len(p.idle), p.count, p.sweeping)
		}
	})
}

// isOpen reports whether this side has closed a test's connection.
func isOpen(c *conn) bool { return !errors.Is(c.SetDeadline(time.Time{}), io.ErrClosedPipe) }

// A connection that was closed since nobody used it is followed by a new one.
func TestIdleConnectionsAreClosed(t *testing.T) {
	var rec recorder
	a := startApp(t, rec.serve)
	p := startProxy(t, webhook(nil, a.address()))
	p.post(t, "event")
	p.post(t, "event")
	if a.connections.Load() != 1 {
		t.Fatalf("%d connections", a.connections.Load())
	}
	p.grow(6 * time.Minute)
	p.transport().pool.sweep()
	if p.idle() != 0 {
		t.Error("an old connection was left")
	}
	p.post(t, "event")
	if a.connections.Load() != 2 {
		t.Errorf("%d connections, want a new one", a.connections.Load())
	}
}

// grow makes the kept connections older.
func (p *proxy) grow(age time.Duration) {
	pool := &p.transport().pool
	pool.mu.Lock()
	defer pool.mu.Unlock()
	for _, conns := range pool.idle {
		for _, c := range conns {
			c.since = c.since.Add(-age)
		}
	}
}

// A connection over its age is not used, even where nothing has closed it yet.
func TestAnOldConnectionIsNotUsed(t *testing.T) {
	var rec recorder
	p := startProxy(t, webhook(nil, startApp(t, rec.serve).address()))
	p.post(t, "event")
	p.grow(6 * time.Minute)
	pool := &p.transport().pool
	if len(pool.idle) != 1 {
		t.Errorf("connections to %d upstreams were kept, want one", len(pool.idle))
	}
	for to := range pool.idle {
		if c := pool.get(to); c != nil {
			t.Error("it was used")
		}
	}
}

func testConn(to upstream) *conn {
	ours, _ := net.Pipe()
	c := newConn(ours, to)
	c.ready(0)
	return c
}

func TestTheNewestIsUsedFirst(t *testing.T) {
	p := pool{perUpstream: 2, idleTime: time.Hour, idle: make(map[upstream][]*conn)}
	to := upstream{network: "tcp", address: "a:1"}
	first, second, third := testConn(to), testConn(to), testConn(to)
	for _, c := range []*conn{first, second, third} { // one more than are kept
		p.put(c)
	}
	if got := p.newest(to); got != second {
		t.Error("the newest was not first")
	}
	if got := p.newest(to); got != first {
		t.Error("the older one was not second")
	}
	if got := p.newest(to); got != nil || p.count != 0 {
		t.Error("more were kept than there should be")
	}
}

func TestTheOldestOfAllMakesRoom(t *testing.T) {
	p := pool{perUpstream: 10, all: 2, idleTime: time.Hour, idle: make(map[upstream][]*conn)}
	a, b := upstream{network: "tcp", address: "a:1"}, upstream{network: "tcp", address: "b:1"}
	oldest := testConn(a)
	p.put(oldest)
	p.put(testConn(b))
	p.put(testConn(b))
	if p.newest(a) != nil || len(p.idle[b]) != 2 || p.count != 2 {
		t.Errorf("%d of all are kept", p.count)
	}
	p.close()
	p.put(testConn(a))
	if p.count != 0 {
		t.Error("kept after the configuration has gone")
	}
}

// max_conns_per_host bounds the connections: what is more waits, or ends with its request.
func TestConnectionsAreBounded(t *testing.T) {
	var busy, most atomic.Int64 // connections with a request, which the app alone counts in time
	a := startApp(t, func(conn net.Conn) {
		eachRequest(conn, func(r *http.Request, _ string) bool {
			for now := busy.Add(1); ; {
				if old := most.Load(); now <= old || most.CompareAndSwap(old, now) {
					break
				}
			}
			time.Sleep(time.Millisecond)
			busy.Add(-1)
			last := r.URL.Path == "/close"
			if last {
				says(ok + "Connection: close\r\nContent-Length: 2\r\n\r\nok")(conn)
			} else {
				says(okAnswer)(conn)
			}
			return last
		})
	})
	p := startProxy(t, webhook(settings{"max_conns_per_host": 3}, a.address()))
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			path := "/"
			if i%10 == 0 {
				path = "/close"
			}
			if status, text := p.do(t, http.MethodPost, path, strings.NewReader("event")); status != 200 {
				t.Error(status, text)
			}
		})
	}
	all.Wait()
	if most.Load() > 3 {
		t.Errorf("%d connections at once, want 3 at most", most.Load())
	}
	pool := &p.transport().pool
	for to := range pool.slots {
		if n := len(pool.slots[to]); n != 0 {
			t.Errorf("%d places are still taken", n)
		}
		for range 3 {
			_ = pool.take(t.Context(), to)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		cancel(gone)
		if err := pool.take(ctx, to); !errors.Is(err, gone) {
			t.Errorf("waits on for a request that has ended: %v", err)
		}
	}
}

func TestKeepaliveOff(t *testing.T) {
	var closing atomic.Int64
	a := startApp(t, func(conn net.Conn) {
		eachRequest(conn, func(r *http.Request, _ string) bool {
			if r.Close {
				closing.Add(1)
			}
			_, _ = io.WriteString(conn, okAnswer)
			return false
		})
	})
	p := startProxy(t, webhook(settings{"keep_alive": settings{"enabled": false}}, a.address()))
	for range 3 {
		p.post(t, "event")
	}
	if a.connections.Load() != 3 || closing.Load() != 3 || p.idle() != 0 {
		t.Errorf("%d connections, %d said to close, %d kept", a.connections.Load(), closing.Load(), p.idle())
	}
}

// tlsApp is an app behind TLS, which may offer HTTP/2.
func tlsApp(t *testing.T, protocols ...string) (address string, connections *atomic.Int64, versions *sync.Map) {
	t.Helper()
	connections, versions = new(atomic.Int64), new(sync.Map)
	server := newTLSServer(t, protocols, func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		versions.Store(r.Proto, true)
		_, _ = io.WriteString(w, r.TLS.ServerName+" "+strconv.Itoa(len(data)))
	}, connections)
	return server, connections, versions
}

func TestOverTLS(t *testing.T) {
	trust := settings{"insecure_skip_verify": true, "server_name": "app.example"}
	for name, tc := range map[string]struct {
		offers  []string
		version string
		own     bool
		config  settings
	}{
		"HTTP/1.1":                {[]string{"http/1.1"}, "HTTP/1.1", true, settings{"tls": trust}},
		"no ALPN":                 {nil, "HTTP/1.1", true, settings{"tls": trust}},
		"HTTP/2":                  {[]string{"h2", "http/1.1"}, "HTTP/2.0", false, settings{"tls": trust}},
		"HTTP/1.1 by choice":      {[]string{"h2", "http/1.1"}, "HTTP/1.1", true, settings{"tls": trust, "versions": []string{"1.1"}}},
		"with time-outs":          {[]string{"http/1.1"}, "HTTP/1.1", true, settings{"tls": trust, "read_timeout": "10s", "write_timeout": "10s"}},
		"a name from the request": {[]string{"http/1.1"}, "HTTP/1.1", false, settings{"tls": settings{"insecure_skip_verify": true, "server_name": "{http.request.host}"}}},
	} {
		t.Run(name, func(t *testing.T) {
			want := int64(1)
			if tc.version == "HTTP/2.0" {
				want = 2 // the first only asks for the protocol
			}
			wantConnections(t, want, func() int64 {
				address, connections, versions := tlsApp(t, tc.offers...)
				p := startProxy(t, webhook(tc.config, address))
				for _, size := range []int{5, 40 << 10, 2 << 20, 7} {
					status, text := p.post(t, strings.Repeat("x", size))
					if want := " " + strconv.Itoa(size); status != 200 || !strings.HasSuffix(text, want) || tc.own && text != "app.example"+want {
						t.Fatal(status, text)
					}
				}
				if _, ok := versions.Load(tc.version); !ok {
					t.Errorf("the app did not get %s", tc.version)
				}
				p.wantOwnWay(t, tc.own)
				return connections.Load()
			})
		})
	}
}

// wantConnections checks how many connections are made for large events in a row. Where the
// writer of a large event stands still for 50 ms after the answer, its connection is not
// kept, by chance and not each time.
func wantConnections(t *testing.T, want int64, send func() int64) {
	t.Helper()
	until(t, fmt.Sprintf("%d connections do", want), func() bool {
		n := send()
		if n < want {
			t.Errorf("%d connections, want %d", n, want)
		}
		return n <= want || t.Failed()
	})
}

// A certificate that nobody vouches for is refused as ever.
func TestCertificatesAreVerified(t *testing.T) {
	address, _, versions := tlsApp(t)
	p := startProxy(t, webhook(settings{"tls": settings{}}, address))
	if status, text := p.post(t, "event"); status != 502 || !strings.Contains(text, "certificate") {
		t.Error(status, text)
	}
	versions.Range(func(any, any) bool { t.Error("the app got an event"); return false })
}

// batch sends what is written together, so that the end comes along with the answer.
type batch struct {
	net.Conn
	holds bool
	held  []byte
}

func (b *batch) Write(p []byte) (int, error) {
	if !b.holds {
		return b.Conn.Write(p)
	}
	b.held = append(b.held, p...)
	return len(p), nil
}

// The end of a TLS connection is seen where it came along with the answer too.
func TestTheEndOfTLSIsSeen(t *testing.T) {
	var events atomic.Int64
	config := certificate(t)
	a := startApp(t, func(socket net.Conn) {
		held := &batch{Conn: socket}
		conn := tls.Server(held, config)
		eachRequest(conn, func(*http.Request, string) bool {
			events.Add(1)
			held.holds = true
			_, _ = io.WriteString(conn, okAnswer)
			_ = conn.CloseWrite()                    // the alert alone: the socket stays open
			_ = socket.SetWriteDeadline(time.Time{}) // which CloseWrite has set
			_, _ = socket.Write(held.held)
			_, _ = io.Copy(io.Discard, socket)
			return true
		})
	})
	p := startProxy(t, webhook(settings{"tls": settings{"insecure_skip_verify": true}}, a.address()))
	for range 5 {
		if status, text := p.post(t, "event"); status != 200 {
			t.Error(status, text)
		}
	}
	if events.Load() != 5 || a.connections.Load() != 5 {
		t.Errorf("the app got %d events over %d connections", events.Load(), a.connections.Load())
	}
}
