//go:build linux

package load_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/bench/load"
)

// server answers 200 `forwarded` to bodies that it has not seen before, else 409.
type server struct {
	*httptest.Server
	mu   sync.Mutex
	seen map[string]int
}

func newServer(t *testing.T, each func(n int, w http.ResponseWriter)) *server {
	t.Helper()
	s := &server{seen: make(map[string]int)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a request: %v", err)
		}
		s.mu.Lock()
		s.seen[string(body)]++
		n, again := len(s.seen), s.seen[string(body)] > 1
		s.mu.Unlock()
		if again {
			w.WriteHeader(http.StatusConflict)
			return
		}
		w.Header().Set("Webhook-Guard", "forwarded")
		if each != nil {
			each(n, w)
		}
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(s.Close)
	return s
}

// distinct counts the bodies that were seen.
func (s *server) distinct() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

func (s *server) addr() string { return s.Listener.Addr().String() }

// events are requests whose bodies are all different and share their end.
func events(n, size int) []load.Request {
	tail := bytes.Repeat([]byte("x"), size)
	requests := make([]load.Request, n)
	for i := range requests {
		front := fmt.Sprintf("event %08d", i)
		requests[i] = load.Request{
			Head: fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", len(front)+size, front),
			Tail: tail,
		}
	}
	return requests
}

var forwarded = load.Want{Status: http.StatusOK, Guard: "forwarded"}

func TestEveryRequestIsSentOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		n, size     int
		conns       int
		rate        float64
		within      time.Duration
		whatHappens func(n int, w http.ResponseWriter)
	}{
		{name: "closed loop", n: 500, size: 1000, conns: 7},
		{name: "fewer requests than connections", n: 3, size: 10, conns: 20},
		{name: "more than a socket takes at once", n: 8, size: 8 << 20, conns: 4},
		{name: "open loop", n: 200, size: 1000, conns: 5, rate: 1000, within: 200 * time.Millisecond},
		{name: "chunked answers", n: 50, size: 10, conns: 2, whatHappens: func(_ int, w http.ResponseWriter) {
			_ = http.NewResponseController(w).Flush()
		}},
		{name: "the server closes every connection", n: 50, size: 10, conns: 3, whatHappens: func(_ int, w http.ResponseWriter) {
			w.Header().Set("Connection", "close")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, tt.whatHappens)
			result, err := load.Run(load.Config{
				Addr: s.addr(), Conns: tt.conns, Requests: events(tt.n, tt.size), Rate: tt.rate, Duration: tt.within, Want: forwarded,
			})
			if err != nil {
				t.Fatal(err)
			}
			if result.Done != tt.n || result.Failures() != 0 || len(result.Latencies) != tt.n || s.distinct() != tt.n {
				t.Fatalf("%d of %d done, %d latencies, failures %v; the server saw %d",
					result.Done, tt.n, len(result.Latencies), result.Wrong, s.distinct())
			}
			if result.Elapsed <= 0 || result.Quantile(1) < result.Quantile(0.5) || result.Quantile(0) <= 0 {
				t.Fatalf("elapsed %v, latencies %v to %v", result.Elapsed, result.Quantile(0), result.Quantile(1))
			}
		})
	}
}

func TestUnwantedAnswersAreReported(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(n int, _ http.ResponseWriter) {
		if n == 5 {
			panic(http.ErrAbortHandler)
		}
	})
	requests := events(10, 10)
	result, err := load.Run(load.Config{Addr: s.addr(), Conns: 1, Requests: append(requests, requests[:3]...), Want: forwarded})
	if err != nil {
		t.Fatal(err)
	}
	if result.Done != 9 || result.Wrong["409 "] != 3 || result.Failures() != 4 {
		t.Fatalf("%d done, failures %v; want 9, three times 409, and one without an answer", result.Done, result.Wrong)
	}
}

func TestCycleRepeatsUntilTheTimeIsOver(t *testing.T) {
	t.Parallel()
	// Where the machine stands still, the time is over too soon. Then there is more of it.
	for limit := 250 * time.Millisecond; ; limit *= 2 {
		s := newServer(t, nil)
		result, err := load.Run(load.Config{
			Addr: s.addr(), Conns: 2, Requests: events(3, 10), Cycle: true, Duration: limit,
			Want: load.Want{Status: http.StatusConflict},
		})
		if err != nil {
			t.Fatal(err)
		}
		if result.Done < 3 && limit < 30*time.Second {
			continue
		}
		if s.distinct() != 3 || result.Wrong["200 forwarded"] != 3 || result.Done < 3 {
			t.Fatalf("%d bodies, %d done, others %v", s.distinct(), result.Done, result.Wrong)
		}
		return
	}
}

// A server that stalls once delays everything that was meant to start meanwhile,
// although with one connection only one request was affected directly.
func TestOpenLoopCountsFromWhenARequestWasMeantToStart(t *testing.T) {
	t.Parallel()
	const stall, rate = 300 * time.Millisecond, 100 // few, so that a busy machine answers them all too
	s := newServer(t, func(n int, _ http.ResponseWriter) {
		if n == 5 {
			time.Sleep(stall)
		}
	})
	result, err := load.Run(load.Config{
		Addr: s.addr(), Conns: 1, Requests: events(60, 10), Rate: rate, Duration: 600 * time.Millisecond, Want: forwarded,
	})
	if err != nil {
		t.Fatal(err)
	}
	late := 0
	for _, latency := range result.Latencies {
		if latency >= stall/2 {
			late++
		}
	}
	// Half of the stall's requests waited for more than half of it. A slow machine
	// can only make it more.
	if want := int(rate * stall.Seconds() / 2); late < want-1 || result.Done != 60 {
		t.Fatalf("%d of %d requests waited for half of the stall, want at least %d; failures %v", late, result.Done, want, result.Wrong)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]load.Config{
		"no requests":        {Addr: "127.0.0.1:1", Conns: 1},
		"no connections":     {Addr: "127.0.0.1:1", Requests: events(1, 1)},
		"no time":            {Addr: "127.0.0.1:1", Conns: 1, Requests: events(1, 1), Rate: 1},
		"too few requests":   {Addr: "127.0.0.1:1", Conns: 1, Requests: events(1, 1), Rate: 100, Duration: time.Second},
		"no address":         {Addr: "localhost", Conns: 1, Requests: events(1, 1)},
		"nothing that hears": {Addr: "127.0.0.1:1", Conns: 1, Requests: events(1, 1)},
	} {
		if _, err := load.Run(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
