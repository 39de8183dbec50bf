package inboxes

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/upstream"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

// The headers of an inbox: two of the app's request, and one of its answer.
const (
	headerAttempt = "Webhook-Guard-Attempt"
	headerReplay  = "Webhook-Guard-Replay"
	headerRetry   = "Webhook-Guard-Retry"
)

// HeaderContent is kept with an event and not sent to the app: what recognises its copies under
// other IDs, for [Guard.Remember].
const HeaderContent = "Webhook-Guard-Content"

// result is what the app made of an attempt.
type result struct {
	status int // 0 where it has not answered
	header http.Header
	head   []byte // the beginning of the answer's body
	err    error  // why there was no answer, or not a whole one
	late   bool   // the app worked on it for longer than it may
	took   time.Duration
}

var errNoHandler = errors.New("nothing in the deliver block answered: put a reverse_proxy there")

// attempt runs an event through the route once.
func (in *Inbox) attempt(d inbox.Delivery, e *inbox.Envelope) (res result) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(in.Timeout))
	defer cancel()
	begun := time.Now()
	answer := &answer{method: e.Method, header: make(http.Header)}
	r, err := in.request(ctx, d, e, answer)
	if err != nil {
		return result{err: err}
	}
	var reader body.Reader
	defer reader.End()
	empty := len(e.Body) == 0
	var read *body.Reader
	if !empty {
		reader.Open(e.Body)
		read = &reader
	}
	tries, ended := in.tries(r.Context(), cancel, read, empty || r.Method == http.MethodGet)
	r = r.WithContext(tries)
	r.Body = http.NoBody
	if !empty {
		r.Body = &reader
	}
	err = in.run(answer, r, d)
	res = result{status: answer.status, header: answer.header, head: answer.head, took: time.Since(begun)}
	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	res.err, res.late = in.judge(answer, repl, err, ended())
	if res.err != nil {
		var handler caddyhttp.HandlerError
		res.status = 0
		if errors.As(res.err, &handler) {
			res.status = handler.StatusCode
		}
	}
	return res
}

// request makes the request that the app gets, anew for each attempt: a second run of the
// same one skips routes that exclude each other.
func (in *Inbox) request(ctx context.Context, d inbox.Delivery, e *inbox.Envelope, w http.ResponseWriter) (*http.Request, error) {
	target, err := url.ParseRequestURI(e.URI)
	if err != nil {
		return nil, errors.New("the event's URI cannot be read")
	}
	header := make(http.Header, len(e.Header)+2)
	for name, values := range e.Header {
		header[name] = values
	}
	delete(header, HeaderContent)
	delete(header, "Accept-Encoding") // nobody unpacks the answer, whose beginning is listed
	header[headerAttempt] = []string{strconv.Itoa(d.Info.Attempts)}
	if d.Replay {
		header[headerReplay] = []string{"true"}
	}
	if err := in.sign(header, e.Body, d.Key); err != nil {
		return nil, err
	}
	r := (&http.Request{
		Method: e.Method, URL: target, RequestURI: e.URI, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Host: e.Host, RemoteAddr: e.RemoteAddr, ContentLength: int64(len(e.Body)),
	}).WithContext(ctx)
	if e.Scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: (&url.URL{Host: e.Host}).Hostname()}
	}
	repl := caddy.NewReplacer()
	repl.Map(func(key string) (any, bool) { return in.placeholder(d, key) })
	repl.Map(func(key string) (any, bool) { return bodyPlaceholder(e.Body, key) })
	return caddyhttp.PrepareRequest(r, repl, w, in.server), nil
}

// placeholder is a caddy.ReplacerFunc for those of `{http.webhook_guard.*}` that outlast the
// sender's request.
func (in *Inbox) placeholder(d inbox.Delivery, key string) (any, bool) {
	name, own := strings.CutPrefix(key, "http.webhook_guard.")
	if !own {
		return nil, false
	}
	switch name {
	case "provider":
		return in.Provider, true
	case "scope":
		return d.Scope, true
	case "id":
		return d.ID, true
	case "event":
		return d.Type, true
	case "result":
		return "accepted", true
	}
	return nil, false
}

// bodyPlaceholder is a caddy.ReplacerFunc for those of the body. Caddy's read it from the
// request, and leave the app without.
func bodyPlaceholder(body []byte, key string) (any, bool) {
	switch key {
	case "http.request.body":
		return string(body), true
	case "http.request.body_base64":
		return base64.StdEncoding.EncodeToString(body), true
	}
	return nil, false
}

// run runs the route.
func (in *Inbox) run(w http.ResponseWriter, r *http.Request, d inbox.Delivery) error {
	return upstream.Run("in the deliver block", in.handler, w, r, func(panicked any, stack []byte) {
		in.floods.Log(in.logger, zap.ErrorLevel, "a handler in the deliver block panicked", time.Now(),
			zap.String("id", d.ID), zap.Any("panic", panicked), zap.ByteString("stack", stack))
	})
}

// judge returns why there is no whole answer of the app, and whether that is for the time it
// took.
func (in *Inbox) judge(a *answer, repl *caddy.Replacer, err, ended error) (failure error, late bool) {
	err = a.seen().Failure(err)
	hungUp := err == nil && upstream.HungUp(repl, a.status)
	none := err != nil || a.status == 0 || hungUp
	switch {
	case none && errors.Is(ended, context.DeadlineExceeded):
		return fmt.Errorf("the app worked on the event for longer than timeout, %s", time.Duration(in.Timeout)), true
	case ended != nil && (none || !in.success.Has(a.status)):
		return caddyhttp.Error(http.StatusBadGateway, ended), false
	case hungUp:
		return caddyhttp.Error(http.StatusBadGateway, upstream.ErrOthersEnd), false
	case err == nil && a.status == 0 && (a.switching || upstream.Switched(repl)):
		return upstream.ErrSwitched, false
	case err == nil && a.status == 0:
		return errNoHandler, false
	}
	return err, false
}

// answer is the app's answer. All that is kept of its body is the beginning.
type answer struct {
	method  string // of the request
	header  http.Header
	status  int
	written int64
	head    []byte

	switching bool // the app tried to switch protocols
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. Informational answers are dropped.
func (a *answer) WriteHeader(status int) {
	a.switching = a.switching || status == http.StatusSwitchingProtocols
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.written += int64(len(p))
	a.head = append(a.head, p[:min(len(p), inbox.MaxHead-len(a.head))]...)
	return len(p), nil
}

// FlushError takes the place of http.Flusher: nobody waits for the answer.
func (a *answer) FlushError() error { return nil }

// seen is what came of the answer.
func (a *answer) seen() upstream.Answer {
	return upstream.Answer{Method: a.method, Status: a.status, Header: a.header, Written: a.written}
}
