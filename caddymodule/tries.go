package caddymodule

import (
	"context"
	"errors"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

// tries is the context of a request that is forwarded. A proxy may try several upstreams,
// and Caddy's asks the context for an httptrace at the start of each try, whatever its
// transport is and before anything is sent. There each try gets the whole body, or the
// request is ended: the headers of a verified event never leave without its body.
//
// A GET or an event without a body is sent once, since a proxy would resend it by
// itself. The app may have handled it before the connection broke. A transport of net/http
// or HTTP/3 reports what it has sent. Any other, such as FastCGI, sends all as soon as it
// has a connection, and says nothing of the answer: the proxy does, in a placeholder.
type tries struct {
	context.Context
	cancel context.CancelFunc
	reader *body.Reader // nil where the event has no body
	once   bool

	last       *attempt              // the latest try; nil before the first
	latency    any                   // what the placeholder held before it
	unanswered atomic.Bool           // what was sent got no answer yet
	stopped    atomic.Pointer[error] // why no further try is made
}

// attempt is one try. Its methods are hooks of its trace.
type attempt struct {
	tries *tries
	http  atomic.Bool // its transport has hooks for what it sends
	http1 atomic.Bool
	begun atomic.Bool   // its headers are written, and the body is next
	wrote atomic.Bool   // nothing is read any more
	done  chan struct{} // closes then
}

var (
	errSentOnce = errors.New("the connection to the app broke after the event was sent: the app may have handled it, so it is not sent again before the sender's retry")
	errBodyUsed = errors.New("the event was sent to one upstream in part, and the next one could not be given the whole of it")
)

// bodyWait limits how long a try waits until the previous one stops reading. It has
// stopped already unless its upstream answered before it had read everything.
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
	switch key {
	case traceKey:
		return t.begin()
	case body.ContextKey:
		return t.reader
	}
	return t.Context.Value(key)
}

// stop ends the request. The proxy sees it as cancelled. That ends its tries and does
// not count against the upstream's health.
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

// latencyPlaceholder is what the proxy sets when a try is answered.
const latencyPlaceholder = "http.reverse_proxy.upstream.latency"

// answered reports whether the try without hooks got an answer, and notes the
// placeholder's value for the next one.
func (t *tries) answered() bool {
	repl, ok := t.Context.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return false
	}
	before := t.latency
	t.latency, _ = repl.Get(latencyPlaceholder)
	return t.last != nil && !t.last.http.Load() && t.latency != before
}

// begin is the start of a try.
func (t *tries) begin() *httptrace.ClientTrace {
	if t.once && t.answered() {
		t.unanswered.Store(false)
	}
	switch {
	case t.once && t.unanswered.Load():
		t.stop(errSentOnce)
		return nil
	case t.reader != nil && !(t.last.over() && t.reader.Begin()):
		t.stop(errBodyUsed)
		return nil
	}
	t.last = &attempt{tries: t, done: make(chan struct{})}
	trace := &httptrace.ClientTrace{WroteHeaders: t.last.wroteHeaders, WroteRequest: t.last.wroteRequest}
	if t.once {
		trace.GetConn, trace.ConnectDone = t.last.getConn, t.last.connectDone
		trace.GotConn, trace.WroteHeaderField = t.last.gotConn, t.last.wroteHeaderField
		trace.GotFirstResponseByte = func() { t.unanswered.Store(false) }
	}
	return trace
}

// over waits until the try reads no more of the body, since its reads look like those of
// the next try. A transport without these hooks, such as FastCGI, reads before it
// returns.
func (a *attempt) over() bool {
	if a == nil || !a.begun.Load() || a.wrote.Load() {
		return true
	}
	timer := time.NewTimer(bodyWait)
	defer timer.Stop()
	select {
	case <-a.done:
		return true
	case <-timer.C:
		return false
	}
}

func (a *attempt) wroteHeaders() {
	a.begun.Store(true)
	a.tries.unanswered.Store(true)
}

func (a *attempt) wroteRequest(httptrace.WroteRequestInfo) {
	if !a.wrote.Swap(true) {
		close(a.done)
	}
}

// getConn is called by a transport with hooks, before it connects.
func (a *attempt) getConn(string) { a.http.Store(true) }

// connectDone is where a transport without hooks begins to send.
func (a *attempt) connectDone(_, _ string, err error) {
	if err == nil && !a.http.Load() {
		a.tries.unanswered.Store(true)
	}
}

// wroteHeaderField detects the protocol: HTTP/2 has `:authority`.
func (a *attempt) wroteHeaderField(name string, _ []string) {
	if name == "Host" {
		a.http1.Store(true)
	}
}

// gotConn keeps net/http's transport from sending a request again by itself, as it does
// with a GET when a kept connection breaks. It takes another connection for that, which is
// closed before anything is written to it. An HTTP/2 connection is shared, and there only
// what the app has surely not looked at is sent again.
func (a *attempt) gotConn(got httptrace.GotConnInfo) {
	if a.http1.Load() && a.tries.unanswered.Load() {
		_ = got.Conn.Close()
		a.tries.stop(errSentOnce)
	}
}
