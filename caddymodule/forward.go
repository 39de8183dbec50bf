package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// guardedKey marks a request that a guard has forwarded.
type guardedKey struct{}

// detached is the context of a request that a guard has forwarded: it does not end with
// its sender's.
type detached struct{ request context.Context }

func (detached) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
func (detached) Done() <-chan struct{}                   { return nil }
func (detached) Err() error                              { return nil }

func (d detached) Value(key any) any {
	if _, ok := key.(guardedKey); ok {
		return true
	}
	return d.request.Value(key)
}

// outcome is what really happened to a forwarded event.
type outcome struct {
	answer *heldAnswer
	// success is true only for a whole answer with one of the statuses that
	// finish an event. A nil error alone says nothing.
	success bool
	result  Result
	err     error // what to hand to Caddy instead of the app's answer
}

// forward hands the request to the rest of the route and waits for the end of
// it, whether its sender does or not: a hang-up is not a failure.
func (d *delivery) forward(c *claim, next caddyhttp.Handler) outcome {
	if c != nil && !c.fresh(d.guard.now()) {
		refused := refuse(ResultStoreUnavailable, "less than half of the lease is left: the store was slow, or the process stood still")
		return outcome{result: refused.result, err: refused.answer(d.w, "")}
	}
	d.prepare()
	d.result = ResultForwarded // unless the app fails
	ctx, cancel := context.WithTimeout(detached{d.r.Context()}, d.guard.rules.Timeout)
	defer cancel()
	d.keep(c)
	defer c.letGo()

	d.guard.counts.inFlight.Inc()
	defer d.guard.counts.inFlight.Dec()
	start := d.guard.now()
	answer := newHeldAnswer(d.w, d.r.Method, d.guard.rules.Success)
	err := d.runNext(next, answer, d.r.WithContext(ctx))
	d.inApp += d.guard.now().Sub(start)
	return d.judge(answer, err, ctx.Err())
}

// prepare makes the request what the app is to see.
func (d *delivery) prepare() {
	d.handedOver = &bodyReader{unread: d.body.data}
	d.r.Body = d.handedOver
	d.r.ContentLength = int64(len(d.body.data)) // with 0 or -1 the proxy would drop or chunk the body
	d.r.TransferEncoding = nil
	d.r.Trailer = nil // trailers are not signed
	d.r.GetBody = nil // else the transport may send the event twice by itself
	if len(d.body.data) == 0 {
		d.r.Body = http.NoBody
	}
	d.guard.removeToken(d.r)
	d.setVerified(d.r.Header)
}

// errBroken is an answer that the app did not finish.
var errBroken = errors.New("the app broke off its answer")

// runNext turns the panic with which the proxy ends a broken answer into an
// error. Any other panic is a bug in a handler behind us: it is logged, and the
// event is settled as failed like any other.
func (d *delivery) runNext(next caddyhttp.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			err = errBroken
		default:
			d.guard.logger.Error("a handler behind the guard panicked",
				d.logFields(zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))...)
			err = fmt.Errorf("a handler behind the guard panicked: %w", errBroken)
		}
	}()
	return next.ServeHTTP(w, r)
}

// judge decides from what the app did whether the event is finished.
func (d *delivery) judge(answer *heldAnswer, err, ctxErr error) outcome {
	failed := outcome{answer: answer, result: ResultUpstreamFailed}
	if err == nil && answer.status != 0 && !answer.complete() {
		err = errBroken
	}
	var second *refusal // of another guard in the same route
	switch {
	case (err != nil || answer.status == 0) && errors.Is(ctxErr, context.DeadlineExceeded):
		// err is not wrapped: caddyhttp.Error would take over its status.
		failed.err = caddyhttp.Error(http.StatusGatewayTimeout,
			fmt.Errorf("the app worked on the event for longer than timeout, %s", d.guard.rules.Timeout))
	case errors.Is(err, errBroken):
		failed.err = caddyhttp.Error(http.StatusBadGateway, err)
	case errors.As(err, &second):
		// Its headers went into the answer that is not sent.
		failed.result, failed.err = second.result, second.answer(d.w, "")
	case err != nil:
		failed.err = err
	case answer.status == 0:
		d.guard.logger.Error("nothing behind the guard answered: put a reverse_proxy after webhook_guard in the same route", d.logFields()...)
		refused := refuse(ResultMisconfigured, "nothing behind the guard answered")
		failed.result = ResultMisconfigured
		failed.err = refused.answer(d.w, "")
	case answer.result() == ResultForwarded:
		return outcome{answer: answer, success: true, result: ResultForwarded}
	case answer.status/100 == 2:
		// The sender would take it for a success and never send the event again.
		failed.err = caddyhttp.Error(http.StatusBadGateway,
			fmt.Errorf("the app answered %d, which the success line does not list", answer.status))
	}
	return failed
}
