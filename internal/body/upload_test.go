package body

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// headerKind names the kind of the error.
const headerKind = "Kind"

var timedOut = strconv.Itoa(int(TimedOut))

// A server whose handler reads bodies as the guard does.
func bodyServer(t *testing.T, http2 bool, b *Budget, timeout time.Duration) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, refused := Read(w, r, 1<<20, timeout, b)
		if refused != nil {
			w.Header().Set(headerKind, strconv.Itoa(int(kindOf(refused))))
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		got.Drop()
	}))
	server.EnableHTTP2 = http2
	if http2 {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

// stall sends the beginning of a body and no more. The answer comes on the
// channel.
func stall(t *testing.T, server *httptest.Server, sent string, announced int64, head http.Header) <-chan string {
	t.Helper()
	rest, stalled := io.Pipe()
	t.Cleanup(func() { _ = stalled.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, io.MultiReader(strings.NewReader(sent), rest))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = announced
	for name, values := range head {
		req.Header[name] = values
	}
	answer := make(chan string, 1)
	go func() {
		resp, err := server.Client().Do(req)
		if err != nil {
			answer <- err.Error()
			return
		}
		_ = resp.Body.Close()
		answer <- resp.Proto + " " + resp.Header.Get(headerKind)
	}()
	return answer
}

// A stalled upload really ends when another one needs its memory, and both
// senders have their answers long before body_timeout: also where little is
// missing, which the server would wait for.
func TestAStalledUploadMakesRoomOnTheWire(t *testing.T) {
	for name, tc := range map[string]struct {
		http2     bool
		announced int64
		head      http.Header
		want      string
	}{
		"HTTP/1.1":               {false, 500_000, nil, "HTTP/1.1 " + timedOut},
		"HTTP/1.1, a byte short": {false, 200_001, nil, "HTTP/1.1 " + timedOut},
		"HTTP/1.1, chunked":      {false, -1, nil, "HTTP/1.1 " + timedOut},
		"HTTP/1.1, asked first":  {false, 500_000, http.Header{"Expect": {"100-continue"}}, "HTTP/1.1 " + timedOut},
		"HTTP/2":                 {true, 500_000, nil, "HTTP/2.0 " + timedOut},
		"HTTP/2, no length":      {true, -1, nil, "HTTP/2.0 " + timedOut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &Budget{limit: 1_300_000, patience: time.Minute} // 568,750 for large ones
			server := bodyServer(t, tc.http2, b, time.Hour)
			stalled := stall(t, server, strings.Repeat("x", 200_000), tc.announced, tc.head)
			for end := time.Now().Add(time.Minute); b.Bytes() < 200_000; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the beginning does not arrive")
				}
			}
			resp, err := server.Client().Post(server.URL, "", strings.NewReader(strings.Repeat("y", 400_000)))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got := resp.Header.Get(headerKind); resp.StatusCode != http.StatusOK {
				t.Errorf("the other sender got %d %s", resp.StatusCode, got)
			}
			if got := <-stalled; got != tc.want {
				t.Errorf("the sender that stalled got %q, want %q", got, tc.want)
			}
			server.Close() // waits for its handlers
			wantBudget(t, b, 0, 0)
		})
	}
}

// Nobody needs the memory, and the sender is given up after body_timeout.
func TestAStalledUploadEndsInTheEnd(t *testing.T) {
	for name, http2 := range map[string]bool{"HTTP/1.1 " + timedOut: false, "HTTP/2.0 " + timedOut: true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &Budget{limit: 1 << 20}
			server := bodyServer(t, http2, b, 50*time.Millisecond)
			if got := <-stall(t, server, "beginning", 10, nil); got != name {
				t.Errorf("got %q", got)
			}
			server.Close()
			wantBudget(t, b, 0, 0)
		})
	}
}

func TestATrickleIsNoProgress(t *testing.T) {
	for name, tc := range map[string]struct {
		held, step int64
		alive      bool
	}{
		"bytes":                         {8 << 10, 1, false},
		"less than a step":              {128 << 10, leastStep/8 - 1, false},
		"a step":                        {128 << 10, leastStep / 4, true},
		"too small a step for its size": {8 << 20, 20 << 10, false},
		"a sixteenth":                   {8 << 20, 256 << 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &Budget{limit: 16 << 20}
				s := sends(t, b, min(tc.held, 7<<20))
				s.progress(tc.held / 2)
				arrived := tc.held / 2
				for range 8 { // 50 ms each
					time.Sleep(50 * time.Millisecond)
					arrived += tc.step
					s.progress(arrived)
				}
				// Whoever takes everything now has to wait for it if it is alive.
				start := time.Now()
				sends(t, b, 7<<20)
				if alive := time.Since(start) > 0; alive != tc.alive {
					t.Errorf("alive: %t, want %t", alive, tc.alive)
				}
			})
		})
	}
}

// An upload that was given up may still end well, or never. The budget stays right.
func TestAnUploadThatDoesNotHeedItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{limit: 80 << 10}
		deaf := b.begin(ended(func() {}), time.Now().Add(time.Minute))
		if err := deaf.take(40 << 10); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := newSender(b).take(1); !errors.Is(err, errOverBudget) {
			t.Errorf("got %v without any room", err)
		}
		if err := deaf.take(1); !errors.Is(err, errEvicted) {
			t.Errorf("one that was given up takes more: %v", err)
		}
		deaf.progress(40 << 10)
		if !deaf.end(false) {
			t.Error("it does not know that it was given up")
		}
		wantBudget(t, b, 40<<10, 40<<10)
		b.verify(40 << 10)
		sends(t, b, 40<<10)
		wantBudget(t, b, 80<<10, 40<<10)
	})
}

func TestAnUploadIsNotInterruptedAfterItsEnd(t *testing.T) {
	b := &Budget{limit: 100}
	u := b.begin(ended(func() { t.Error("interrupted") }), time.Now().Add(time.Minute))
	u.end(false)
	u.interrupt()
}
