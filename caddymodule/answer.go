package caddymodule

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/upstream"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// maxHeld is how much of the app's answer is held back until the event is
// settled. Webhook answers are tiny.
const maxHeld = 64 << 10

// heldAnswer holds the app's answer back until the event is committed. So no sender
// receives a success that a crash could forget. The beginning of an answer longer than
// maxHeld goes out early. Its last maxHeld bytes never do, so the sender cannot take it
// for complete before the commit.
//
// Writes to a sender that has disconnected succeed: the disconnect must not look like a
// failure of the app. heldAnswer is deliberately not an Unwrapper: a flush or a hijack
// would bypass it.
type heldAnswer struct {
	w       http.ResponseWriter
	success config.Statuses // those that finish an event
	method  string          // of the request
	header  http.Header     // what the app sets
	status  int             // the app's; 0 until it has answered
	sent    http.Header     // header as it was when the app wrote its status
	held    []byte
	written int64 // bytes of the answer's body, held or not
	started bool  // something has gone out
	reader  reader
	lost    bool // the sender has gone, or has not read what was sent before

	switching bool // the app tried to switch protocols
}

func newHeldAnswer(w http.ResponseWriter, method string, success config.Statuses, reader reader) *heldAnswer {
	return &heldAnswer{w: w, success: success, method: method, header: w.Header().Clone(), reader: reader}
}

// Header implements http.ResponseWriter.
func (a *heldAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. Informational answers are dropped.
func (a *heldAnswer) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		a.switching = true
	}
	if a.status != 0 || status < 200 {
		return
	}
	a.status = status
	a.sent = a.header.Clone()
}

// Write implements http.ResponseWriter. It never fails.
func (a *heldAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.written += int64(len(p))
	a.held = append(a.held, p...)
	if excess := len(a.held) - maxHeld; excess > 0 {
		a.start()
		a.send(a.held[:excess])
		a.held = append(a.held[:0], a.held[excess:]...)
	}
	return len(p), nil
}

// FlushError takes the place of http.Flusher: there is nothing to flush before
// the event is settled.
func (a *heldAnswer) FlushError() error { return nil }

// Hijack implements http.Hijacker. It records the attempt and refuses it.
func (a *heldAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.switching = true
	return nil, nil, fmt.Errorf("webhook_guard holds the answer: %w", http.ErrNotSupported)
}

// seen is what came of the answer.
func (a *heldAnswer) seen() upstream.Answer {
	return upstream.Answer{Method: a.method, Status: a.status, Header: a.sent, Written: a.written}
}

// besideError returns the headers that a handler set before it returned an error. It
// drops those that describe a body. Where an answer was begun, it drops all, since they
// belong to that answer.
func (a *heldAnswer) besideError() http.Header {
	if a.status != 0 {
		return nil
	}
	for name := range a.header {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range", "Transfer-Encoding", "Trailer":
			delete(a.header, name)
		default:
			if isOwnHeader(name) || strings.HasPrefix(name, http.TrailerPrefix) {
				delete(a.header, name)
			}
		}
	}
	return a.header
}

// result returns the result that the answer's status means for the event.
func (a *heldAnswer) result() webhook.Result {
	if a.success.Has(a.status) {
		return webhook.Forwarded
	}
	return webhook.UpstreamFailed
}

// send writes a part of the answer to the sender, as long as that reads.
func (a *heldAnswer) send(p []byte) {
	if a.lost {
		return
	}
	a.reader.limit(a.w)
	_, err := a.w.Write(p)
	a.lost = err != nil
	a.reader.rest(a.w)
}

func (a *heldAnswer) start() {
	if a.started {
		return
	}
	a.started = true
	header := a.w.Header()
	clear(header)
	maps.Copy(header, a.sent)
	if a.seen().Emptied() {
		header.Del("Content-Length")
	}
	// Known this early they make the server send chunks, as trailers need them.
	a.copyUnannounced(header)
	setResult(header, a.result())
	a.w.WriteHeader(a.status)
}

// release sends what was held, with the trailers that the app set after its body.
func (a *heldAnswer) release() {
	a.start()
	a.reader.limitLast(a.w)
	if !a.lost {
		_, _ = a.w.Write(a.held) // the sender may have gone
	}
	a.held = nil
	header := a.w.Header()
	a.copyUnannounced(header)
	for _, names := range a.sent["Trailer"] {
		for name := range strings.SplitSeq(names, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if values, ok := a.header[name]; ok {
				header[name] = values
			}
		}
	}
}

// copyUnannounced passes on the trailers that the app did not announce.
func (a *heldAnswer) copyUnannounced(header http.Header) {
	for name, values := range a.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			header[name] = values
		}
	}
}
