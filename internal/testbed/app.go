package testbed

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Delivery is one request as it reached the app.
type Delivery struct {
	N                int // 1 for the first
	Method           string
	URL              string // as on the request line
	Host             string
	Header           http.Header
	Trailer          http.Header
	Body             []byte
	BodyErr          error // the body broke off, and why
	ContentLength    int64
	TransferEncoding []string
	Gone             <-chan struct{} // closes when the caller hangs up, or has its answer
}

// Answer is what the app does with a delivery. The zero Answer is an empty 200.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Chunked sends the body in chunks, without its length; so does a Trailer.
	Chunked bool
	Trailer http.Header
	Wait    <-chan struct{} // answer only after this closes
	Cut     bool            // send the head and part of the body, then drop the connection
	Drop    bool            // drop the connection without any answer
}

// App is the upstream: a real server that records what reaches it.
type App struct {
	tb     testing.TB
	port   int
	answer func(Delivery) Answer

	mu         sync.Mutex
	deliveries []Delivery
	arrived    chan struct{} // closed and replaced at every delivery
	server     *http.Server  // nil while stopped
	stopping   chan struct{} // closed when the server stops
	handlers   sync.WaitGroup
}

// StartApp starts an app on a free port. It calls answer for every delivery,
// from several goroutines at once; nil answers 200.
func StartApp(tb testing.TB, answer func(Delivery) Answer) *App {
	tb.Helper()
	if answer == nil {
		answer = func(Delivery) Answer { return Answer{} }
	}
	a := &App{tb: tb, port: FreePort(tb), answer: answer, arrived: make(chan struct{})}
	a.Start()
	tb.Cleanup(a.Stop)
	return a
}

// Addr is the app's host and port, as reverse_proxy takes it.
func (a *App) Addr() string { return loopback(a.port) }

// Port is the app's port.
func (a *App) Port() int { return a.port }

// URL is the app's base URL.
func (a *App) URL() string { return "http://" + a.Addr() }

// Start lets a stopped app listen again, on the same port.
func (a *App) Start() {
	a.tb.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.server != nil {
		return
	}
	// After a Stop, a process that was just being started may hold a copy of the
	// old listener until it runs its program.
	var listener net.Listener
	var err error
	poll(waitLimit, func() bool {
		listener, err = net.Listen("tcp", a.Addr())
		return !errors.Is(err, syscall.EADDRINUSE)
	})
	if err != nil {
		a.tb.Fatalf("the app cannot listen: %v", err)
	}
	stopping := make(chan struct{})
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.serve(w, r, stopping)
		}),
		ReadHeaderTimeout: waitLimit,
	}
	a.server, a.stopping = server, stopping
	go func() { _ = server.Serve(listener) }() // always ends with ErrServerClosed
}

// Stop closes the listener and every connection, as the app's crash would, and
// returns when no handler runs any more. Start brings the app back.
func (a *App) Stop() {
	a.mu.Lock()
	server := a.server
	a.server = nil
	if server != nil {
		close(a.stopping)
	}
	a.mu.Unlock()
	if server != nil {
		_ = server.Close()
		a.handlers.Wait()
	}
}

// Count is the number of deliveries so far.
func (a *App) Count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.deliveries)
}

// Deliveries returns everything that has reached the app so far.
func (a *App) Deliveries() []Delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.deliveries)
}

// WaitCount waits until at least n deliveries have reached the app.
func (a *App) WaitCount(n int) {
	a.tb.Helper()
	deadline := time.NewTimer(waitLimit)
	defer deadline.Stop()
	for {
		a.mu.Lock()
		got, arrived := len(a.deliveries), a.arrived
		a.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-arrived:
		case <-deadline.C:
			a.tb.Fatalf("%d deliveries after %v, not %d:%s", got, waitLimit, n, a.summary())
		}
	}
}

func (a *App) summary() string {
	var b strings.Builder
	for _, d := range a.Deliveries() {
		fmt.Fprintf(&b, "\n%d: %s %s, %d bytes, headers %s", d.N, d.Method, d.URL, len(d.Body),
			slices.Sorted(maps.Keys(d.Header)))
	}
	return b.String()
}

// serve panics with http.ErrAbortHandler where the connection is to be dropped
// without an answer: net/http expects that.
func (a *App) serve(w http.ResponseWriter, r *http.Request, stopping <-chan struct{}) {
	if !a.enter() {
		panic(http.ErrAbortHandler)
	}
	defer a.handlers.Done()

	body, err := io.ReadAll(r.Body)
	d := a.record(r, body, err)
	answer := a.answer(d)
	if answer.Wait != nil {
		select {
		case <-answer.Wait:
		case <-stopping:
			panic(http.ErrAbortHandler)
		}
	}
	switch {
	case answer.Drop:
		panic(http.ErrAbortHandler)
	case answer.Cut:
		if err := cut(w, answer); err != nil {
			a.tb.Errorf("cutting answer %d short: %v", d.N, err)
		}
	default:
		maps.Copy(w.Header(), answer.Header)
		for name := range answer.Trailer {
			w.Header().Add("Trailer", name)
		}
		w.WriteHeader(answer.status())
		if answer.Chunked {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = w.Write(answer.Body) // the caller may be gone, which is its own affair
		maps.Copy(w.Header(), answer.Trailer)
	}
}

// enter counts a handler in, unless the server is stopping: Stop must not miss one that
// begins while it waits.
func (a *App) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.server == nil {
		return false
	}
	a.handlers.Add(1)
	return true
}

func (a *App) record(r *http.Request, body []byte, bodyErr error) Delivery {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := Delivery{
		N:                len(a.deliveries) + 1,
		Method:           r.Method,
		URL:              r.RequestURI,
		Host:             r.Host,
		Header:           r.Header.Clone(),
		Trailer:          r.Trailer.Clone(),
		Body:             body,
		BodyErr:          bodyErr,
		ContentLength:    r.ContentLength,
		TransferEncoding: slices.Clone(r.TransferEncoding),
		Gone:             r.Context().Done(),
	}
	a.deliveries = append(a.deliveries, d)
	close(a.arrived)
	a.arrived = make(chan struct{})
	return d
}

func (a Answer) status() int {
	if a.Status == 0 {
		return http.StatusOK
	}
	return a.Status
}

// cut writes the head of an answer, promising a byte more than the whole body,
// then half of the body, and drops the connection.
func cut(w http.ResponseWriter, answer Answer) (err error) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("taking over the connection: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	status := answer.status()
	length, half := fmt.Sprintf("Content-Length: %d", len(answer.Body)+1), answer.Body[:len(answer.Body)/2]
	if answer.Chunked {
		length, half = "Transfer-Encoding: chunked", fmt.Appendf(nil, "%x\r\n%s\r\n", len(half), half)
	}
	fmt.Fprintf(buf, "HTTP/1.1 %d %s\r\n%s\r\n", status, http.StatusText(status), length)
	if err := answer.Header.Write(buf); err != nil {
		return fmt.Errorf("writing the headers: %w", err)
	}
	fmt.Fprintf(buf, "\r\n%s", half)
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	return nil
}
