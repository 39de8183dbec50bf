package caddymodule

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// reader is the sender while it reads its answer. It has as long for each part as it had
// for its body. Without a limit, a sender that reads nothing would keep its event claimed,
// its memory in use, and the process from stopping.
type reader struct {
	perWrite time.Duration
	until    time.Time // no part takes longer than this; zero for no such time
	http2    *stream   // nil for other versions
}

// stream is a request of HTTP/2. A deadline resets it, also while nothing is written, and
// ends the connection too where not even that can be sent.
type stream struct {
	ctx  context.Context // ends with the stream
	conn net.Conn        // nil where that is not known
	cut  *time.Timer     // closes it
}

// resetTime is how long a reset may take to be sent. It takes longer only where the sender
// reads nothing of the whole connection.
const resetTime = time.Second

// newReader returns whoever sent a request. until is the end of the time that the app has.
func newReader(sender *webhook.Sender, r *http.Request, until time.Time) reader {
	made := reader{perWrite: sender.Rules.BodyTimeout, until: until}
	if r.ProtoMajor == 2 {
		made.http2 = &stream{ctx: r.Context()}
		made.http2.conn, _ = r.Context().Value(connKey{}).(net.Conn)
	}
	return made
}

// limit bounds what is written next.
func (r *reader) limit(w http.ResponseWriter) {
	if r.perWrite == 0 {
		return
	}
	end := time.Now().Add(r.perWrite)
	if !r.until.IsZero() && r.until.Before(end) {
		end = r.until
	}
	_ = http.NewResponseController(w).SetWriteDeadline(end) // or the server's own time-outs hold
	if s := r.http2; s != nil && s.conn != nil {
		s.cut = time.AfterFunc(time.Until(end)+resetTime, func() { _ = s.conn.Close() })
	}
}

// rest lifts the limit while the app has nothing to write.
func (r *reader) rest(w http.ResponseWriter) {
	if r.http2 == nil || r.perWrite == 0 {
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	if r.http2.cut != nil {
		r.http2.cut.Stop()
	}
}

// limitLast bounds all that is left, which is written when the handlers have returned. The
// server lifts the limit once the response is out.
func (r *reader) limitLast(w http.ResponseWriter) {
	r.until = time.Time{} // the event is settled: only its answer is left
	r.limit(w)
	if s := r.http2; s != nil && s.cut != nil {
		context.AfterFunc(s.ctx, func() { s.cut.Stop() })
	}
}

// limitError bounds how long the sender takes to read an error. An error route may still
// ask an app for its page.
func limitError(sender *webhook.Sender, w http.ResponseWriter, r *http.Request) {
	to := newReader(sender, r, time.Time{})
	to.perWrite += sender.Rules.Timeout
	to.limitLast(w)
}

// connKey is what a request's connection is kept under in its context.
type connKey struct{}

// knownConns are the servers whose requests know their connection.
type knownConns struct {
	mu    sync.Mutex
	known map[*caddyhttp.Server]bool
}

// add has the requests of a server know their connection, and the server say when it stops.
func (s *knownConns) add(server *caddyhttp.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if server == nil || s.known[server] {
		return
	}
	if s.known == nil {
		s.known = make(map[*caddyhttp.Server]bool)
	}
	s.known[server] = true
	server.RegisterOnShutdown(serverStops)
	server.RegisterConnContext(func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	})
}
