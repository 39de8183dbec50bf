package caddymodule

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// delivery is one request on its way through a guard. Each step fills in what
// the next ones need.
type delivery struct {
	guard *Guard
	w     http.ResponseWriter
	r     *http.Request
	repl  *caddy.Replacer
	begun time.Time
	known bool          // the event's names and times, to placeholders
	age   time.Duration // of the event or request on arrival, where when is set
	inApp time.Duration // time spent in the app, or waiting for it

	// receive and authenticate
	facts     signature.Request
	bodyAsked bool // whether any of it was read, or tried to
	body      *body
	verdict   signature.Verdict
	when      time.Time // the event's own time, or else its request's

	// identify
	event config.Identified
	scope string
	keys  dedupe.Event

	// forward
	handedOver *bodyReader // nil before

	// from the start to the end
	store *sharedStore // nil where it could not be opened

	result Result
}

func (g *Guard) newDelivery(w http.ResponseWriter, r *http.Request) *delivery {
	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	work.Add(1)
	d := &delivery{guard: g, w: w, r: r, repl: repl, begun: g.now(), scope: g.scope()}
	repl.Map(d.placeholder)
	// From here on, since a reload must not close the store on a request whose body
	// is still on its way. What is wrong with it is told by claim.
	d.store, _ = g.app.enter()
	return d
}

// end gives back what the delivery holds and counts what became of it.
func (d *delivery) end() {
	if d.handedOver != nil {
		_ = d.handedOver.Close()
	}
	if d.body != nil {
		d.facts.Body = nil
		d.body.drop()
	}
	if d.store != nil {
		d.store.leave()
	}
	work.Done()
	g := d.guard
	g.counts.result(d.result).Inc()
	g.counts.duration.Observe((g.now().Sub(d.begun) - d.inApp).Seconds())
}

// setResult makes the result known to placeholders, metrics and access logs.
func (d *delivery) setResult(result Result) {
	d.result = result
	ctx := d.r.Context()
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); !ok || server.Logs == nil {
		return // nobody would read the field, and it costs more than all the rest here
	}
	if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Add(zap.String("webhook_guard", string(result)))
	}
}

// setFacts makes what was verified known to placeholders.
func (d *delivery) setFacts() {
	d.known = true
	if !d.when.IsZero() {
		d.age = d.guard.now().Sub(d.when)
	}
}

// placeholder is a caddy.ReplacerFunc for `{http.webhook_guard.*}`. What is not
// known yet is no placeholder of the guard's.
func (d *delivery) placeholder(key string) (any, bool) {
	name, own := strings.CutPrefix(key, "http.webhook_guard.")
	if !own {
		return nil, false
	}
	switch name {
	case "provider":
		return d.guard.ProviderName, true
	case "scope":
		return d.scope, true
	case "result":
		return string(d.result), d.result != ""
	case "id":
		return d.id(), d.known
	case "event":
		return d.event.Event, d.known
	case "age":
		return strconv.FormatFloat(d.age.Seconds(), 'f', 0, 64), d.known && !d.when.IsZero()
	case "secret":
		return d.verdict.Secret, d.known && d.guard.authenticates()
	}
	return nil, false
}

// logFields say which event a log entry is about. None of them is secret.
func (d *delivery) logFields(more ...zap.Field) []zap.Field {
	return append([]zap.Field{
		zap.String("provider", d.guard.ProviderName),
		zap.String("scope", d.scope),
		zap.String("id", d.id()),
	}, more...)
}

// refuse answers a request that goes no further.
func (d *delivery) refuse(refused *refusal) error {
	d.setResult(refused.result)
	if !d.bodyAsked {
		boundRest(readDeadliner(d.w), time.Now().Add(d.guard.rules.BodyTimeout))
	}
	level := zap.InfoLevel
	switch refused.result {
	case ResultMisconfigured:
		level = zap.ErrorLevel // somebody must act
	case ResultStoreUnavailable, ResultOverloaded, ResultSecretUnavailable:
		level = zap.WarnLevel
	}
	if entry := d.guard.logger.Check(level, "refused"); entry != nil {
		entry.Write(d.logFields(zap.String("result", string(refused.result)), zap.NamedError("reason", refused.cause))...)
	}
	return refused.answer(d.w, d.guard.methods)
}

// duplicate answers a copy of an event that is finished.
func (d *delivery) duplicate(done *finished) error {
	d.setResult(ResultDuplicate)
	if done.conflict {
		d.guard.metrics.idConflicts.WithLabelValues(d.guard.ProviderName).Inc()
		d.guard.logger.Warn("a known event ID came with other content and was refused as a duplicate", d.logFields()...)
	}
	header := d.w.Header()
	setResult(header, ResultDuplicate)
	status, text := done.status, ""
	if fixed := d.guard.rules.Answer; fixed != nil {
		status, text = fixed.Status, fixed.Body
	}
	if text != "" {
		header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	d.w.WriteHeader(status)
	_, _ = d.w.Write([]byte(text)) // the sender may have gone
	return nil
}

// answer passes on what the app answered, or the error that took its place.
func (d *delivery) answer(out outcome) error {
	d.setResult(out.result)
	switch {
	case out.err == nil:
		out.answer.release()
		return nil
	case out.answer != nil && out.answer.started:
		// Part of the answer is out: only a broken connection tells the sender
		// that the rest will not come.
		panic(http.ErrAbortHandler)
	}
	setResult(d.w.Header(), out.result)
	// An app behind an error route is not told that what it gets is verified: the body is
	// gone. What is left of the handlers may still read the headers, so they get new ones.
	d.r.Header = d.r.Header.Clone()
	stripOwnHeaders(d.r)
	return out.err
}
