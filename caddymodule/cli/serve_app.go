package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

const (
	// appPatience is how long an event that an inbox has accepted may take to the app.
	appPatience = 30 * time.Second
	// lastAnswers is how long the answers of a server may take when its run is over.
	lastAnswers = 5 * time.Second
	// mostServed is how much of a body is read, and mostShown how much of it is printed.
	mostServed = 32 << 20
	mostShown  = 2 << 10
	mostStatus = 599
)

// appServer stands in for the app behind the guard: it prints what it receives, and
// answers with success.
type appServer struct {
	server  *http.Server
	count   atomic.Int64  // of the requests received
	changed chan struct{} // has a value when the count has grown
}

// successOf is the status that an app answers with: 204, where the guard takes that for
// success.
func successOf(success config.Statuses) int {
	if success.Has(http.StatusNoContent) {
		return http.StatusNoContent
	}
	status := http.StatusOK
	for status < mostStatus && !success.Has(status) {
		status++
	}
	return status
}

// serveApp listens at host:port, or at a port of the loopback address. It answers with the
// status.
func serveApp(address string, status int, print func(string)) (*appServer, error) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = ":" + address
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || !isPort(port) {
		return nil, errors.New("--serve: write a port, or host:port, where the guard's app is expected: --serve 5000")
	}
	if host == "" {
		host = "127.0.0.1"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("--serve: %w", err)
	}
	s := &appServer{changed: make(chan struct{}, 1)}
	s.server = &http.Server{ReadHeaderTimeout: sendTimeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, mostServed))
		if err != nil {
			http.Error(w, "the body could not be read", http.StatusBadRequest)
			return
		}
		print(received(r, body))
		s.count.Add(1)
		select {
		case s.changed <- struct{}{}:
		default:
		}
		w.WriteHeader(status)
	})}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

func (s *appServer) close() { endServer(s.server) }

// endServer ends a server of one run after the answers that it owes: a guard that does not
// get one takes the event for one that failed.
func endServer(s *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), lastAnswers)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		_ = s.Close()
	}
}

// received is a request as it is printed, one header a line.
func received(r *http.Request, body []byte) string {
	var text strings.Builder
	fmt.Fprintf(&text, "the app receives %s %s\n", r.Method, r.URL.RequestURI())
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, value := range r.Header[name] {
			fmt.Fprintf(&text, "  %s: %s\n", name, value)
		}
	}
	if len(body) > mostShown {
		fmt.Fprintf(&text, "  %s… (%d bytes)\n", body[:mostShown], len(body))
	} else if len(body) > 0 {
		fmt.Fprintf(&text, "  %s\n", body)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// wait waits until the app has received n requests.
func (s *appServer) wait(ctx context.Context, n int64) error {
	ctx, cancel := context.WithTimeout(ctx, appPatience)
	defer cancel()
	for s.count.Load() < n {
		select {
		case <-s.changed:
		case <-ctx.Done():
			return unwanted(fmt.Errorf("--serve: the app has received %d of the %d events that the guard took: does the guard forward to this address?", s.count.Load(), n))
		}
	}
	return nil
}
