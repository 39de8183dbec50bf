package caddymodule

import (
	"context"
	"errors"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

// tries is the context of a request that is forwarded. A proxy may try several upstreams,
// and Caddy's asks the context for an httptrace at the start of each try, whatever its
// transport is and before anything is sent. There each try gets the whole body, or the
// request is ended: the headers of a verified event never leave without its body.
//
// What a proxy would send twice without being told to, a GET or an event without a body,
// is sent once. The app may have handled it before the connection broke.
type tries struct {
	context.Context
	cancel context.CancelFunc
	reader *body.Reader // nil where the event has no body
	once   bool

	http1, unanswered atomic.Bool           // of what was sent
	stopped           atomic.Pointer[error] // why no further try is made
}

var (
	errSentOnce = errors.New("the connection to the app broke after the event was sent: the app may have handled it, so it is not sent again before the sender's retry")
	errBodyUsed = errors.New("the event was sent to one upstream in part, and the next one could not be given the whole of it")
)

// bodyWait is how long a try waits until the one before has closed the body. It does so
// at once unless its upstream answered before it had read everything.
const bodyWait = 250 * time.Millisecond

// traceKey is what httptrace keeps a trace under in a context.
var traceKey = func() any {
	var asked lastKey
	httptrace.ContextClientTrace(&asked)
	return asked.key
}()

// lastKey is a context that remembers what it was asked for.
type lastKey struct {
	context.Context
	key any
}

func (l *lastKey) Value(key any) any {
	l.key = key
	return nil
}

// Value implements context.Context.
func (t *tries) Value(key any) any {
	if key == traceKey {
		return t.begin()
	}
	return t.Context.Value(key)
}

// stop ends the request. To a proxy it was cancelled, which ends its tries and says nothing
// of the upstream's health.
func (t *tries) stop(why error) {
	t.stopped.Store(&why)
	t.cancel()
}

// ended is why the request ended before its time; nil where it did not.
func (t *tries) ended() error {
	if why := t.stopped.Load(); why != nil {
		return *why
	}
	return t.Err()
}

// begin is the start of a try.
func (t *tries) begin() *httptrace.ClientTrace {
	switch {
	case t.unanswered.Load():
		t.stop(errSentOnce)
	case t.reader != nil && !t.reader.Begin(bodyWait):
		t.stop(errBodyUsed)
	case t.once:
		return t.trace()
	}
	return nil
}

// trace also keeps net/http's transport from sending a request again by itself, as it does
// with a GET when a kept connection breaks. It takes another connection for that, which
// is closed before anything is written to it.
func (t *tries) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			// An HTTP/2 connection is shared, and there only what the app has surely not
			// looked at is sent again.
			if t.unanswered.Load() && t.http1.Load() {
				_ = got.Conn.Close()
				t.stop(errSentOnce)
			}
		},
		WroteHeaderField: func(name string, _ []string) {
			if name == "Host" { // HTTP/2 has `:authority`
				t.http1.Store(true)
			}
		},
		WroteHeaders:         func() { t.unanswered.Store(true) },
		GotFirstResponseByte: func() { t.unanswered.Store(false) },
	}
}
