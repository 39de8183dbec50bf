package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// pool is a FastCGI server like PHP-FPM, whose workers can die. Requests come one after
// the other.
type pool struct {
	net.Listener
	calls atomic.Int32

	mu   sync.Mutex
	conn net.Conn // the latest
}

func (p *pool) Accept() (net.Conn, error) {
	conn, err := p.Listener.Accept()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn = conn
	return conn, err
}

// worker is what a worker does with the request of a number: it answers with a status, or
// dies with the beginning of an answer.
type worker func(call int) (status int, part string)

func startPool(t *testing.T, network, address string, work worker) *pool {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	p := &pool{Listener: listener}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		_ = fcgi.Serve(p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > 0 { // the package shares one reader among all empty bodies
				_, _ = io.Copy(io.Discard, r.Body)
			}
			status, part := work(int(p.calls.Add(1)))
			if status != 0 {
				w.WriteHeader(status)
				return
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			_, _ = io.WriteString(p.conn, part)
			if part == "" { // as the kernel closes the connection of a process that has read all
				_ = p.conn.(interface{ CloseWrite() error }).CloseWrite()
			}
			_ = p.conn.Close()
		}))
	}()
	return p
}

// answerPart is a FastCGI record with a part of an answer's headers.
const answerPart = "\x01\x06\x00\x01\x00\x0c\x00\x00Status: 200\r"

// sentUnasked are the events that a proxy would send again by itself.
var sentUnasked = map[string]struct {
	method string
	body   []byte
}{
	"GET": {"GET", nil}, "GET with a body": {"GET", []byte("body")}, "HEAD": {"HEAD", nil}, "OPTIONS": {"OPTIONS", nil}, "POST": {"POST", nil}, "PUT": {"PUT", nil},
}

// Where a worker dies, an event that it may have handled is not sent to the next one.
func TestAnEventIsSentOnceToFastCGI(t *testing.T) {
	t.Parallel()
	const again = "lb_retry_match {\nmethod GET HEAD OPTIONS POST PUT\n}\n"
	for name, c := range sentUnasked {
		for how, more := range map[string]string{
			"":                "",
			"lb_try_duration": "lb_try_duration 1s\nlb_try_interval 50ms\n",
			"lb_retries":      "lb_retries 5\nlb_try_interval 10ms\n" + again,
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				dies := map[int]string{2: "", 3: answerPart} // before its answer, and amid it
				work := func(call int) (int, string) {
					if part, dead := dies[call]; dead {
						return 0, part
					}
					return http.StatusOK, ""
				}
				var app *pool
				var upstream string
				if how == "lb_retries" { // as PHP-FPM often listens
					socket := filepath.Join(t.TempDir(), "fpm.sock")
					app, upstream = startPool(t, "unix", socket, work), "unix/"+socket
				} else {
					app = startPool(t, "tcp", "127.0.0.1:0", work)
					upstream = app.Addr().String()
				}
				g := site{store: "memory", guards: anyMethod,
					routes: plainRoute("reverse_proxy " + upstream + " {\ntransport fastcgi\n" + more + "}")}.start(t)
				send := func(id string) testbed.Response {
					return testbed.Do(t, plainRequest(t, g, c.method, id, c.body))
				}
				want(t, send("1"), 200, "forwarded")
				for calls := int32(2); calls < 4; calls++ {
					want(t, send("2"), 502, "upstream_failed")
					if n := app.calls.Load(); n != calls {
						t.Fatalf("the app was called %d times, want %d", n, calls)
					}
				}
				want(t, send("2"), 200, "forwarded")
				want(t, send("2"), 200, "duplicate")
			})
		}
	}
}

// A pool that cannot be reached has not got the event, and one that answered has said that
// it could not handle it. The next one gets the event.
func TestAnEventGoesToAFastCGIPoolThatAnswers(t *testing.T) {
	t.Parallel()
	busy := func(int) (int, string) { return http.StatusServiceUnavailable, "" }
	fine := func(int) (int, string) { return http.StatusOK, "" }
	for name, c := range sentUnasked {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			down, first, second := startPool(t, "tcp", "127.0.0.1:0", fine), startPool(t, "tcp", "127.0.0.1:0", busy), startPool(t, "tcp", "127.0.0.1:0", fine)
			_ = down.Close()
			g := site{store: "memory", guards: anyMethod, routes: plainRoute(fmt.Sprintf(
				"reverse_proxy %s %s %s {\nlb_policy round_robin\nlb_retries 4\nlb_retry_match {\nexpression `{rp.status_code} == 503`\n}\ntransport fastcgi\n}",
				down.Addr(), first.Addr(), second.Addr()))}.start(t)
			for n := range 6 {
				want(t, testbed.Do(t, plainRequest(t, g, c.method, fmt.Sprint(n), c.body)), 200, "forwarded")
				if calls := second.calls.Load(); int(calls) != n+1 {
					t.Fatalf("the app was called %d times, want %d", calls, n+1)
				}
			}
			if first.calls.Load() == 0 {
				t.Error("the busy pool was never called")
			}
		})
	}
}
