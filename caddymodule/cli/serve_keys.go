package cli

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

const (
	// keysPatience is how long a guard may take to fetch the keys: it looks for a new one
	// once a minute.
	keysPatience = 75 * time.Second
	// keysPause is how often a request is sent again until then.
	keysPause = time.Second
)

// keyServer publishes the messenger's key for the time of one run.
type keyServer struct {
	url      string
	server   *http.Server
	fetched  chan struct{} // closed with the first fetch
	patience time.Duration
	pause    time.Duration
	until    time.Time // when the patience is over; zero until it is needed
}

// serveKeys starts to publish the key at the loopback address of the guard's `keys` line.
func (m *messenger) serveKeys() (*keyServer, error) {
	p, err := m.publication()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(p.url)
	if err != nil || u.Scheme != "http" || !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("--serve-keys: the guard fetches its keys from %s: for a test write http://127.0.0.1:<port>/<path> into its keys line, and name its file with --config", p.url)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, fmt.Errorf("--serve-keys: %w", err)
	}
	s := &keyServer{url: p.url, fetched: make(chan struct{}), patience: keysPatience, pause: keysPause}
	s.server = &http.Server{ReadHeaderTimeout: sendTimeout, Handler: s.handler(p, u)}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// handler answers with the publication at its URL, and with what leads to it.
func (s *keyServer) handler(p *publication, at *url.URL) http.Handler {
	var first sync.Once
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		document, ok := p.before[r.URL.Path]
		contentType := "application/json"
		if r.URL.Path == cmp.Or(at.Path, "/") && r.URL.RawQuery == at.RawQuery {
			defer first.Do(func() { close(s.fetched) })
			document, ok, contentType = p.document, true, cmp.Or(p.contentType, contentType)
		}
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "no-store") // the next run has another key
		_, _ = w.Write(document)
	})
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || host == "localhost"
}

func (s *keyServer) close() { endServer(s.server) }

// isFetched reports whether a guard has fetched the keys.
func (s *keyServer) isFetched() bool {
	select {
	case <-s.fetched:
		return true
	default:
		return false
	}
}

// wait gives the guard time to fetch the keys, or to take up what it has fetched. It
// reports whether the request is to be sent again.
func (s *keyServer) wait(ctx context.Context, say func(string)) bool {
	if s.until.IsZero() {
		s.until = time.Now().Add(s.patience)
		say("waiting until the guard fetches the keys from " + s.url)
	}
	if !s.isFetched() && !time.Now().Before(s.until) {
		return false
	}
	timer := time.NewTimer(s.pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// post sends the nth copy of a request. A guard that refuses one for no reason that is
// wanted may have lacked the keys, unless they were fetched before: it is sent again.
func (c *campaign) post(ctx context.Context, send func() reply, want expectation, n int) reply {
	for {
		final := c.keys == nil || c.keys.isFetched()
		got := send()
		if final || want.check(got, n) == nil || got.result != webhook.SignatureInvalid && got.result != webhook.SecretUnavailable {
			return got
		}
		if !c.keys.wait(ctx, c.tally.note) {
			got.err = fmt.Errorf("it is refused with %d, and nobody has fetched the keys from %s: is that the guard's keys line, and does the guard run on this machine?", got.status, c.keys.url)
			return got
		}
	}
}
