package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/upstream"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// deliverer forwards an event whose claim is held and reports the outcome.
type deliverer interface {
	Deliver(ctx context.Context, event *webhook.Event) outcome
}

// outcome is the outcome of a delivered event.
type outcome struct {
	answer *heldAnswer
	// success is true only for a whole answer with one of the statuses that finish an
	// event. A nil error alone says nothing.
	success bool
	result  webhook.Result
	refused *webhook.Refusal // why the app was not asked; nil where it was
	err     error            // what to hand to Caddy instead of the app's answer
	header  http.Header      // what goes with err; nil for what was there before
}

// notAsked is the outcome of an event that the guard did not hand to the app.
func notAsked(x *exchange, refused *webhook.Refusal) outcome {
	return outcome{result: refused.Result, refused: refused, err: refusalError(x.w, refused, "")}
}

// status is that of the app's answer; 0 where there is none.
func (o outcome) status() int {
	if o.answer == nil {
		return 0
	}
	return o.answer.status
}

// guardedKey marks a request that a guard has forwarded.
type guardedKey struct{}

// detached is the context of a request that a guard has forwarded: it does not end with
// its sender's.
type detached struct {
	request  context.Context
	original *http.Request // in place of the request's own; nil where that may stay
}

func (detached) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
func (detached) Done() <-chan struct{}                   { return nil }
func (detached) Err() error                              { return nil }

func (d detached) Value(key any) any {
	if _, ok := key.(guardedKey); ok {
		return true
	}
	if key == caddyhttp.OriginalRequestCtxKey && d.original != nil {
		return *d.original
	}
	return d.request.Value(key)
}

// deliver forwards the event and waits until that ends, even when the sender
// disconnects: a disconnect is not a failure. The claim is renewed meanwhile.
func (x *exchange) deliver(c *claim, to deliverer) outcome {
	g := x.guard
	if !c.fresh(g.now()) {
		return notAsked(x, webhook.Refuse(webhook.StoreUnavailable, "less than half of the lease is left: the store was slow, or the process stood still"))
	}
	x.result = webhook.Forwarded // unless the app fails
	var ctx context.Context
	x.ctx = detached{x.r.Context(), tokenless(x.r, x.repl, g.sender.Rules.Token)}
	ctx, x.cancel = context.WithTimeout(&x.ctx, g.sender.Rules.Timeout)
	defer x.cancel()
	c.startRenewing()
	defer c.stopRenewing()

	g.counts.inFlight.Inc()
	defer g.counts.inFlight.Dec()
	start := g.now()
	out := to.Deliver(ctx, &x.event)
	x.inApp += g.now().Sub(start)
	return out
}

// route delivers an event to the rest of the route that its request came by.
type route struct {
	x      *exchange
	next   caddyhttp.Handler
	reader body.Reader // what the app reads, where there is a body
	tries  tries
}

// Deliver implements deliverer.
func (t *route) Deliver(ctx context.Context, event *webhook.Event) outcome {
	if err := t.prepare(event); err != nil {
		return notAsked(t.x, webhook.Refuse(webhook.Misconfigured, "%w", err))
	}
	answer, r := t.begin(ctx)
	err := t.run(answer, r)
	return t.judge(answer, err, t.tries.ended())
}

// prepare turns the request into the one that the app receives. Each copy of the request
// has its own body, so that a placeholder that reads one does not leave the app without.
func (t *route) prepare(event *webhook.Event) error {
	r, data := t.x.r, event.Body()
	r.ContentLength = int64(len(data)) // with 0 or -1 the proxy would drop or chunk the body
	r.TransferEncoding = nil
	r.Trailer = nil // trailers are not signed
	r.GetBody = nil // else the transport may send the event twice by itself
	if len(data) > 0 {
		t.reader.Open(data)
	}
	removeToken(r, t.x.guard.sender.Rules.Token)
	setVerified(r.Header, event, t.x.guard.sender.Authenticates())
	return t.x.guard.resigner.sign(r.Header, data, mainKey(event.Keys), t.x.guard.now())
}

// begin returns the request with the context of its tries, and what holds its answer.
func (t *route) begin(ctx context.Context) (*heldAnswer, *http.Request) {
	x := t.x
	empty := x.r.ContentLength == 0
	t.tries.Context, t.tries.cancel = ctx, x.cancel
	t.tries.once = empty || x.r.Method == http.MethodGet
	r := x.r.WithContext(&t.tries)
	r.Body = http.NoBody
	if !empty {
		t.tries.reader, r.Body = &t.reader, &t.reader
	}
	until, _ := ctx.Deadline()
	return newHeldAnswer(x.w, r.Method, x.guard.sender.Rules.Success, newReader(x.guard.sender, x.r, until)), r
}

// run runs the rest of the route. After a panic the event is settled as failed like any other.
func (t *route) run(w http.ResponseWriter, r *http.Request) error {
	return upstream.Run("behind the guard", t.next, w, r, func(panicked any, stack []byte) {
		logEvent(t.x, zap.ErrorLevel, "a handler behind the guard panicked", zap.Any("panic", panicked), zap.ByteString("stack", stack))
	})
}

// judge decides whether the event is finished, from the app's answer and from the cause
// of an early end.
func (t *route) judge(answer *heldAnswer, err, ended error) outcome {
	x := t.x
	failed := outcome{answer: answer, result: webhook.UpstreamFailed}
	err = answer.seen().Failure(err)
	switch {
	case (err != nil || answer.status == 0) && errors.Is(ended, context.DeadlineExceeded):
		// err is not wrapped: caddyhttp.Error would take over its status.
		failed.err = caddyhttp.Error(http.StatusGatewayTimeout,
			fmt.Errorf("the app worked on the event for longer than timeout, %s", x.guard.sender.Rules.Timeout))
	case (err != nil || answer.result() != webhook.Forwarded) && (errors.Is(ended, errSentOnce) || errors.Is(ended, errBodyUsed)):
		failed.err = caddyhttp.Error(http.StatusBadGateway, ended)
	case errors.Is(err, upstream.ErrBroken):
		failed.err = caddyhttp.Error(http.StatusBadGateway, err)
	case err == nil && upstream.HungUp(x.repl, answer.status):
		failed.err = caddyhttp.Error(http.StatusBadGateway, upstream.ErrOthersEnd)
	case err != nil:
		var second *webhook.Refusal // of another guard in the same route
		if errors.As(err, &second) {
			failed.result, failed.err = second.Result, refusalError(x.w, second, "")
			break
		}
		failed.err = failure(err)
		failed.header = answer.besideError()
	case answer.status == 0 && (answer.switching || upstream.Switched(x.repl)):
		failed.err = caddyhttp.Error(http.StatusBadGateway, upstream.ErrSwitched)
	case answer.status == 0:
		logUnanswered(x)
		refused := webhook.Refuse(webhook.Misconfigured, "nothing behind the guard answered")
		failed.result, failed.err = refused.Result, refusalError(x.w, refused, "")
	case answer.result() == webhook.Forwarded:
		return outcome{answer: answer, success: true, result: webhook.Forwarded}
	case answer.status/100 == 2:
		// The sender would take it for a success and never send the event again.
		failed.err = caddyhttp.Error(http.StatusBadGateway,
			fmt.Errorf("the app answered %d, which the success line does not list", answer.status))
	}
	return failed
}

// failure converts a handler's error into the one that Caddy responds with. An error is
// never a success: not by its status, not as the 200 that net/http makes of a 1xx, and
// not as the status of an error route where the error has none.
func failure(err error) error {
	handler := caddyhttp.Error(http.StatusInternalServerError, err)
	if 300 <= handler.StatusCode && handler.StatusCode <= 999 {
		return handler
	}
	text := ""
	if handler.Err != nil {
		text = handler.Err.Error()
	}
	// Not wrapped: caddyhttp.Error would take over its status.
	return caddyhttp.Error(http.StatusBadGateway,
		errors.New("behind the guard came an error with the status "+strconv.Itoa(handler.StatusCode)+", which is not one of a failure: "+text))
}
