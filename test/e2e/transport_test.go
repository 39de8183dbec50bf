package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const ownWay = "transport webhook"

// Each upstream that is called gets the whole event, once for each try, whatever the one
// before has done with it.
func TestTheTransportGivesEachUpstreamTheWholeEvent(t *testing.T) {
	t.Parallel()
	wantWholeEvents(t, ownWay)
}

// A GET or an event without a body is sent once, and not again when a kept connection breaks.
func TestTheTransportSendsAnEventOnce(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			wire := startWire(t, func(n int, conn net.Conn, _ *http.Request) bool {
				if n == 1 {
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
				return n == 1 // the next one is read, and the connection breaks
			})
			g := site{store: "memory", guards: anyMethod, routes: plainRoute("reverse_proxy " + wire.addr + " {\nlb_retries 3\n" + ownWay + "\n}")}.start(t)
			want(t, testbed.Do(t, plainRequest(t, g, method, "1", nil)), 200, "forwarded")
			want(t, testbed.Do(t, plainRequest(t, g, method, "2", nil)), 502, "upstream_failed")
			if called := wire.count(); called != 2 {
				t.Errorf("the app was called %d times, want 2", called)
			}
		})
	}
}

// What an app answers comes to the same for the sender, and for the event's outcome, through
// Caddy's transport and through this one.
func TestTheTransportsComeToTheSame(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	cases := []struct{ name, text string }{
		{"a length", ok + "Content-Length: 5\r\nX-One: v\r\n\r\nhello"},
		{"chunks", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"trailers", ok + "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"},
		{"ended by close", ok + "\r\nhello"},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhello"},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"304", "HTTP/1.1 304 Not Modified\r\n\r\n"},
		{"302", "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"},
		{"404", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"},
		{"503", "HTTP/1.1 503 Oh\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno"},
		{"99", "HTTP/1.1 099 Oh\r\nContent-Length: 0\r\n\r\n"},
		{"101", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"},
		{"101 without an upgrade", "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
		{"103 first", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello"},
		{"two lengths", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"},
		{"a negative length", ok + "Content-Length: -1\r\n\r\nhello"},
		{"a length and chunks", ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"a bad chunk", ok + "Transfer-Encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n"},
		{"a second answer", ok + "Content-Length: 5\r\n\r\nhello" + ok + "Content-Length: 6\r\n\r\nforged"},
		{"broken in the headers", ok + "Content-Le"},
		{"broken in the body", ok + "Content-Length: 50\r\n\r\nhello"},
		{"broken in a chunk", ok + "Transfer-Encoding: chunked\r\n\r\n50\r\nhello"},
		{"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		{"nothing", ""},
	}
	wire := startWire(t, func(_ int, conn net.Conn, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		n, _ := strconv.Atoi(r.Header.Get("X-Case"))
		_, _ = io.WriteString(conn, cases[n].text)
		return false
	})
	routes := ""
	for _, way := range []string{"http", "webhook"} {
		// The app closes its connections without a word, so none is kept.
		routes += route("/"+way, "plain", "reverse_proxy "+wire.addr+" {\ntransport "+way+" {\nkeepalive off\n}\n}", "secret a-secret-of-the-plain-provider", "scope "+way)
	}
	g := site{store: "memory", guards: anyMethod, routes: routes}.start(t)
	for n, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, way := range []string{"http", "webhook"} {
				req := plainRequest(t, g, "POST", fmt.Sprint(n), []byte("event"))
				req.URL.Path = "/" + way + req.URL.Path
				req.Header.Set("X-Case", fmt.Sprint(n))
				resp := testbed.Do(t, req)
				resp.Header.Del("Date")
				got = append(got, fmt.Sprintf("%d %s %v %q", resp.Status, resp.Guard, resp.Header, resp.Body))
			}
			if got[0] != got[1] {
				t.Errorf("through transport http:\n%s\nthrough transport webhook:\n%s", got[0], got[1])
			}
		})
	}
}

// delay is how far away the app is.
const delay = 5 * time.Millisecond

// startRelay leads to an app that is far away. What arrives, the end too, arrives later.
func startRelay(t *testing.T, to string) string {
	t.Helper()
	return serveConns(t, func(near net.Conn) {
		far, err := net.Dial("tcp", to)
		if err != nil {
			_ = near.Close()
			return
		}
		go relay(near.(*net.TCPConn), far.(*net.TCPConn))
		relay(far.(*net.TCPConn), near.(*net.TCPConn))
	})
}

type parcel struct {
	at   time.Time
	data []byte
}

func relay(from, to *net.TCPConn) {
	parcels := make(chan parcel, 1000)
	go func() {
		defer close(parcels)
		for {
			data := make([]byte, 32<<10)
			n, err := from.Read(data)
			if n > 0 {
				parcels <- parcel{time.Now(), data[:n]}
			}
			if err != nil {
				parcels <- parcel{at: time.Now()}
				return
			}
		}
	}()
	for p := range parcels {
		time.Sleep(time.Until(p.at.Add(delay)))
		if len(p.data) == 0 {
			_ = to.CloseWrite()
		} else if _, err := to.Write(p.data); err != nil {
			_ = from.CloseRead()
		}
	}
	_ = from.Close()
}

// edgeApps are apps with the idle time-outs that they come with.
func edgeApps(t *testing.T) map[string]struct {
	addr string
	idle time.Duration
} {
	t.Helper()
	type edgeApp = struct {
		addr string
		idle time.Duration
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{IdleTimeout: 2 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(100 * time.Millisecond) // so that events have connections of their own
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	apps := map[string]edgeApp{"Go": {listener.Addr().String(), 2 * time.Second}}

	port := testbed.FreePort(t)
	testbed.StartProcess(t, "", []string{"PORT=" + strconv.Itoa(port)}, "node", "-e",
		`require("http").createServer((q, a) => { q.resume(); q.on("end", () => setTimeout(() => a.end(), 100)) }).listen(process.env.PORT, "127.0.0.1")`)
	apps["Node"] = edgeApp{net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), 5 * time.Second}

	if gunicorn, err := exec.LookPath("gunicorn"); err == nil {
		port := testbed.FreePort(t)
		dir := t.TempDir()
		code := "import time\ndef app(environ, start):\n    environ['wsgi.input'].read()\n    time.sleep(0.1)\n    start('200 OK', [('Content-Length', '0')])\n    return [b'']\n"
		if err := os.WriteFile(filepath.Join(dir, "edge.py"), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		testbed.StartProcess(t, dir, []string{"PYTHONDONTWRITEBYTECODE=1"}, gunicorn, "--threads", "64", "--bind", addr, "edge:app")
		apps["Gunicorn"] = edgeApp{addr, 2 * time.Second}
	}
	for name, app := range apps {
		testbed.Eventually(t, soon, func() bool {
			conn, err := net.Dial("tcp", app.addr)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		}, name+" does not listen")
	}
	return apps
}

// No event is lost to a connection that the app is just closing, because it is idle for too
// long.
func TestNoEventMeetsAConnectionThatIsJustBeingClosed(t *testing.T) {
	t.Parallel()
	for name, app := range edgeApps(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := site{store: "memory", guards: anyMethod, routes: plainRoute("reverse_proxy " + startRelay(t, app.addr) + " {\n" + ownWay + "\n}")}.start(t)
			const lanes = 31
			for round := 0; round*lanes < edgeEvents; round++ {
				var all sync.WaitGroup
				for lane := range lanes {
					all.Go(func() {
						send := func(n int) testbed.Response {
							id := fmt.Sprint(round, "-", lane, "-", n)
							return testbed.Do(t, plainRequest(t, g, "POST", id, []byte(strings.Repeat("x", 100))))
						}
						if got := send(1); got.Status != 200 {
							t.Errorf("an event on a new connection got %v", got)
						}
						around := time.Duration(lane-lanes/2) * 12 * time.Millisecond / (lanes / 2)
						time.Sleep(app.idle - 2*delay + around)
						if got := send(2); got.Status != 200 {
							t.Errorf("an event %s after the last one got %v", app.idle+around, got)
						}
					})
				}
				all.Wait()
			}
		})
	}
}
