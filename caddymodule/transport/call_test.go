package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

// writes records how a message leaves.
type writes struct {
	net.Conn
	mu  sync.Mutex
	got [][]byte
	by  []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got, w.by = append(w.got, slices.Clone(p)), append(w.by, goroutine())
	return len(p), nil
}

func goroutine() string {
	id, _, _ := strings.Cut(string(debugStack()), " [")
	return id
}

func debugStack() []byte {
	text := make([]byte, 64)
	return text[:runtime.Stack(text, false)]
}

// The headers and the body leave in one write, by the goroutine of the request.
func TestOneWrite(t *testing.T) {
	for _, size := range []int{0, 1, 1 << 10, 16 << 10, 31 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			w := new(writes)
			x := &call{transport: bareTransport(), conn: newConn(w, upstream{})}
			m := &message{head: []byte("POST / HTTP/1.1\r\n\r\n"), body: bytes.Repeat([]byte("x"), size)}
			sent, err := x.write(m)
			if err != nil || sent != int64(len(m.head)+size) || x.rest != nil || len(w.got) != 1 || w.by[0] != goroutine() {
				t.Errorf("%d bytes sent, %v; %d writes by %q", sent, err, len(w.got), w.by)
			}
		})
	}
}

// bareTransport is one that Caddy has not provisioned.
func bareTransport() *Transport {
	t := new(Transport)
	t.HTTPTransport.Transport = new(http.Transport)
	return t
}

// A large body that the app reads leaves by the same goroutine too, from where it is.
func TestALargeBodyLeavesFromWhereItIs(t *testing.T) {
	arrived := make(chan int64, 1)
	a := startApp(t, func(conn net.Conn) {
		n, _ := io.Copy(io.Discard, conn)
		arrived <- n
	})
	socket, err := net.Dial("tcp", a.address())
	if err != nil {
		t.Fatal(err)
	}
	x := &call{transport: bareTransport(), conn: newConn(socket, upstream{})}
	data := bytes.Repeat([]byte("x"), 256<<10)
	head := []byte("POST / HTTP/1.1\r\n\r\n")
	allocated := testing.AllocsPerRun(1, func() {
		if sent, err := x.write(&message{head: head, body: data}); err != nil || sent == 0 && x.rest == nil {
			t.Errorf("%d bytes sent, %v", sent, err)
		}
		if x.rest != nil { // the machine was slow
			<-x.rest
			x.rest = nil
		}
	})
	_ = socket.Close()
	if n := <-arrived; n != int64(2*(len(data)+len(head))) {
		t.Errorf("%d bytes arrived", n)
	}
	if allocated > 20 {
		t.Errorf("%.0f allocations", allocated)
	}
}

// The memory of a body is not given back while a try may still read it: an app that has
// answered and reads on gets the event, or the connection ends.
func TestTheMemoryIsHeldWhileItIsSent(t *testing.T) {
	const size = 8 << 20
	var spoilt atomic.Int64
	a := startApp(t, func(conn net.Conn) {
		says(ok + "Connection: close\r\nContent-Length: 2\r\n\r\nok")(conn) // before it has read anything
		buf := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			if bytes.IndexByte(buf[:n], 0xdb) >= 0 {
				spoilt.Add(1)
			}
		}
	})
	for _, way := range ways {
		p := startProxy(t, settings{"upstreams": upstreams(a.address()), "transport": settings{"protocol": way}})
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { p.post(t, strings.Repeat("x", size)) })
		}
		all.Wait()
	}
	if spoilt.Load() > 0 {
		t.Error("the app got memory of another body")
	}
}

func TestLentMemoryIsWaitedFor(t *testing.T) {
	var r body.Reader
	r.Open([]byte("event"))
	if got := string(r.Lend()); got != "event" {
		t.Fatalf("lent %q", got)
	}
	ended := make(chan struct{})
	go func() { r.End(); close(ended) }()
	until(t, "nothing more is lent", func() bool {
		if r.Lend() == nil {
			return true
		}
		r.Return()
		return false
	})
	select {
	case <-ended:
		t.Error("the memory was given back")
	case <-time.After(20 * time.Millisecond):
	}
	r.Return()
	<-ended
}

// Caddy's time-outs hold as with its own transport.
func TestTimeouts(t *testing.T) {
	stall := func(conn net.Conn) { time.Sleep(time.Minute); _ = conn.Close() }
	for name, tc := range map[string]struct {
		config settings
		serve  func(net.Conn)
		size   int
		status int
	}{
		"response headers":                 {settings{"response_header_timeout": "50ms"}, stall, 5, 504},
		"response headers of a large body": {settings{"response_header_timeout": "50ms"}, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, 4 << 20, 504},
		"reads":                            {settings{"read_timeout": "50ms"}, stall, 5, 504},
		"writes":                           {settings{"write_timeout": "50ms", "read_timeout": "60s"}, stall, 32 << 20, 504},
		"the answer's body is not headers": {settings{"response_header_timeout": "50ms"}, func(conn net.Conn) {
			says(length5 + "he")(conn)
			time.Sleep(150 * time.Millisecond)
			says("llo")(conn)
		}, 5, 200},
		"dialling": {settings{"dial_timeout": "1ns"}, stall, 5, 502},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, webhook(tc.config, startApp(t, tc.serve).address()))
			event := strings.Repeat("x", tc.size)
			status, text := p.post(t, event)
			if tc.status == 200 { // where the headers come late, by chance and not each time
				until(t, "headers come in time", func() bool {
					if status == 504 {
						status, text = p.post(t, event)
					}
					return status != 504
				})
			}
			if status != tc.status {
				t.Errorf("got %d %s, want %d", status, text, tc.status)
			}
			if status == 200 && text != "hello" {
				t.Errorf("got %q", text)
			}
		})
	}
}

// A trace learns of the way of a request as from net/http.
func TestTheTraceIsTold(t *testing.T) {
	const want = "get,got false,headers,request <nil>,answer,get,got true,headers,request <nil>,answer"
	if got := traceOfTwo(t, "webhook"); got != want {
		t.Errorf("told %s", got)
	}
	// This one writes on one goroutine and reads on another. Either may be told first, and it
	// does not keep the connection where its writer stands still for 50 ms.
	until(t, "net/http tells the same", func() bool {
		return strings.ReplaceAll(traceOfTwo(t, "http"), "answer,request <nil>", "request <nil>,answer") == want
	})
}

// traceOfTwo returns what a transport tells of two events in a row.
func traceOfTwo(t *testing.T, way string) string {
	t.Helper()
	var rec recorder
	var mu sync.Mutex
	var told []string
	tell := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, what)
	}
	p := startProxy(t, settings{"upstreams": upstreams(startApp(t, rec.serve).address()), "transport": settings{"protocol": way, "keep_alive": kept}})
	p.between = func(r *http.Request) {
		*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			GetConn:              func(string) { tell("get") },
			GotConn:              func(got httptrace.GotConnInfo) { tell(fmt.Sprint("got ", got.Reused)) },
			WroteHeaders:         func() { tell("headers") },
			WroteRequest:         func(info httptrace.WroteRequestInfo) { tell(fmt.Sprint("request ", info.Err)) },
			GotFirstResponseByte: func() { tell("answer") },
		}))
	}
	p.post(t, "event")
	p.post(t, "event")
	mu.Lock()
	defer mu.Unlock()
	return strings.Join(told, ",")
}

// An event that has ended is not sent at all.
func TestAnEndedEventIsNotSent(t *testing.T) {
	var rec recorder
	a := startApp(t, rec.serve)
	p := startProxy(t, webhook(nil, a.address()))
	why := errors.New("ended")
	p.between = func(r *http.Request) {
		ctx, cancel := context.WithCancelCause(r.Context())
		cancel(why)
		*r = *r.WithContext(ctx)
	}
	if _, text := p.post(t, "event"); !strings.Contains(text, "ended") || a.connections.Load() > 0 {
		t.Errorf("got %q over %d connections", text, a.connections.Load())
	}
}
