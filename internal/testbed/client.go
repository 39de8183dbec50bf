package testbed

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Response is an answer, read to its end.
type Response struct {
	Status  int
	Header  http.Header
	Trailer http.Header
	Body    []byte
	Guard   string // the Webhook-Guard header: what the guard made of the request
}

func (r Response) String() string {
	return fmt.Sprintf("%d %q %q", r.Status, r.Guard, r.Body)
}

// sender uses a new connection for every request, as most webhook senders do;
// so that no request fails or is repeated over a connection gone stale.
var sender = &http.Client{
	Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	Timeout:   waitLimit,
	CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	},
}

// Do sends a request and reads its answer; without one the test fails. It must
// be called from the test's own goroutine: others use Try.
func Do(tb testing.TB, req *http.Request) Response {
	tb.Helper()
	resp, err := Try(req)
	if err != nil {
		tb.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	return resp
}

// Try is Do for senders that hang up, for servers that die, and for goroutines.
// With an error, the response holds as much of the answer as was read.
func Try(req *http.Request) (Response, error) {
	resp, err := sender.Do(req)
	if err != nil {
		return Response{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return Response{
		Status:  resp.StatusCode,
		Header:  resp.Header,
		Trailer: resp.Trailer,
		Body:    body,
		Guard:   resp.Header.Get("Webhook-Guard"),
	}, err
}

// Eventually polls until the condition holds. It fails the test with the message after
// the deadline.
func Eventually(tb testing.TB, deadline time.Duration, ok func() bool, msg string) {
	tb.Helper()
	if !poll(deadline, ok) {
		tb.Fatalf("not within %v: %s", deadline, msg)
	}
}

func poll(deadline time.Duration, ok func() bool) bool {
	for end := time.Now().Add(deadline); !ok(); time.Sleep(pollEvery) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// After returns a channel that closes when the time has passed, for a slow answer.
func After(d time.Duration) <-chan struct{} {
	done := make(chan struct{})
	time.AfterFunc(d, func() { close(done) })
	return done
}

// Ports are taken from below the range that the kernel hands out to outgoing
// connections: a port from within it, free when asked for, may be some
// connection's own end by the time a server wants to listen there, and again
// while that server restarts.
const firstPort, lastPort = 10000, 32000

// portsMu makes looking for a port and reserving it one step.
var portsMu sync.Mutex

// FreePort returns a port of the loopback interface on which nothing listens and which
// no test process has given out that still runs: the server that it is for may be
// stopped, and has to find it free when it is started again.
func FreePort(tb testing.TB) int {
	tb.Helper()
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		// Asked by connecting, not by listening for a moment: a process that starts
		// in that moment holds a copy of the listener until it runs its program, and
		// so keeps the port in use.
		conn, err := net.DialTimeout("tcp", loopback(port), time.Second)
		if err == nil {
			_ = conn.Close()
			continue
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			tb.Fatalf("looking for a free port: %v", err)
		}
		if reserve(port) {
			return port
		}
	}
	tb.Fatalf("no free port from %d to %d", firstPort, lastPort)
	return 0
}

const loopbackHost = "127.0.0.1"

func loopback(port int) string {
	return net.JoinHostPort(loopbackHost, strconv.Itoa(port))
}
