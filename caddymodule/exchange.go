package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// exchange is one request on its way through a guard, with its known facts and its
// resources: the store and the memory of its body.
type exchange struct {
	tenant
	w     http.ResponseWriter
	r     *http.Request
	begun time.Time
	store *sharedStore // nil where it could not be opened

	body   requestBody
	event  webhook.Event
	named  bool               // the event's names and times, to placeholders
	age    time.Duration      // of the event or request on arrival, where that is known
	ctx    detached           // of what is delivered
	cancel context.CancelFunc // ends it
	route  route
	inApp  time.Duration // time spent in the app
	waited time.Duration // for the sender to send the body, or for another copy

	result webhook.Result
	speaks speaker
}

// tenant is the owner of the endpoint that a request was sent to, as its placeholders
// say. It implements [webhook.Tenant].
type tenant struct {
	guard *Guard
	repl  *caddy.Replacer
}

// Secrets implements [webhook.Tenant].
func (t *tenant) Secrets() ([]signature.Secret, *webhook.Refusal) {
	return t.guard.secrets.of(t.repl)
}

// Scope implements [webhook.Tenant].
func (t *tenant) Scope() (string, *webhook.Refusal) { return t.guard.scope.resolve(t.repl) }

func (g *Guard) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	repl, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	work.Add(1)
	x := &exchange{tenant: tenant{g, repl}, w: w, r: r, begun: g.now()}
	x.body.x = x
	x.event.Scope = g.scope.line
	repl.Map(x.placeholder)
	// From here on, since a reload must not close the store on a request whose body
	// is still on its way. Its errors are reported by claim.
	x.store, _ = g.app.enter()
	return x
}

// openStore opens the store where it could not be opened before.
func openStore(x *exchange) (err error) {
	if x.store == nil {
		if x.store, err = x.guard.app.enter(); err != nil {
			return fmt.Errorf("opening the store: %w", err)
		}
	}
	return nil
}

// end releases the exchange's resources and counts its result.
func (x *exchange) end() {
	x.route.reader.End()
	if !x.speaks.silent {
		setAttributes(x)
	}
	x.body.release()
	if x.store != nil {
		x.store.leave()
	}
	work.Done()
	g := x.guard
	g.counts.result(x.result).Inc()
	g.counts.duration.Observe((g.now().Sub(x.begun) - x.inApp - x.waited).Seconds())
}

// setResult passes the result to placeholders, metrics and access logs.
func (x *exchange) setResult(result webhook.Result) {
	x.result = result
	if x.speaks.silent {
		return
	}
	ctx := x.r.Context()
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); !ok || server.Logs == nil {
		return // nobody would read the field, and it costs more than all the rest here
	}
	if extra, ok := ctx.Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields); ok {
		extra.Set(zap.Dict("webhook_guard", accessFields(x)...))
	}
}

// placeholder is a caddy.ReplacerFunc for `{http.webhook_guard.*}`. What is not
// known yet is no placeholder of the guard's.
func (x *exchange) placeholder(key string) (any, bool) {
	name, own := strings.CutPrefix(key, "http.webhook_guard.")
	if !own || x.speaks.silent {
		return nil, false
	}
	switch name {
	case "provider":
		return x.guard.ProviderName, true
	case "scope":
		return x.event.Scope, true
	case "result":
		return string(x.result), x.result != ""
	case "id":
		return x.event.JoinedID(), x.named
	case "event":
		return x.event.Type, x.named
	case "age":
		return strconv.FormatFloat(x.age.Seconds(), 'f', 0, 64), x.named && !x.event.When().IsZero()
	case "secret":
		return x.event.Secret, x.named && x.guard.sender.Authenticates()
	}
	return nil, false
}
