package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

const (
	modeEnforce = "enforce"
	modeShadow  = "shadow"

	// shadowScope stands before the scope of a guard in shadow mode: what it remembers and
	// counts is not an enforcing guard's.
	shadowScope = "shadow/"

	// headerShadow has the result, in the requests that a guard in shadow mode passes on.
	headerShadow = "Webhook-Guard-Shadow"

	// shadowVar is the request's variable with the [speaker] of the guard in shadow mode that has
	// passed it on.
	shadowVar = "webhook_guard.shadow"

	// shadowWait bounds how long a request waits for the store before the app, and its answer
	// after it. No event depends on what the store says.
	shadowWait = 500 * time.Millisecond
)

// enforcedScope is the scope that an event has where its guard enforces.
func enforcedScope(scope string) string { return strings.TrimPrefix(scope, shadowScope) }

// speaker is whether a guard gives placeholders, access log and trace their values. One in shadow
// mode does until a guard that enforces comes behind it.
type speaker struct {
	silent bool
	signed bool        // anew, in place of the sender's own headers
	sent   http.Header // these
}

// String says nothing to who asks for the variable.
func (*speaker) String() string { return "" }

// silenceShadow gives the word to a guard behind one in shadow mode, if there is one, and the
// sender's own signature with it: the new one is for the app. The header is asked first, as the
// sender can set it and most requests are without.
func silenceShadow(r *http.Request) {
	if _, passed := r.Header[headerShadow]; !passed {
		return
	}
	if before, ok := caddyhttp.GetVar(r.Context(), shadowVar).(*speaker); ok {
		before.silent = true
		if before.signed {
			takeSigned(r.Header)
			maps.Copy(r.Header, before.sent)
		}
	}
}

// provisionMode reads a guard's mode line. It runs before anything reads the scope.
func provisionMode(g *Guard) error {
	switch g.Mode {
	case "", modeEnforce:
		if strings.HasPrefix(g.Scope, shadowScope) {
			return fmt.Errorf("scope: names that begin with %s are those of guards in shadow mode: choose another one", shadowScope)
		}
		g.scope = newScopeLine(g.Scope, g.ProviderName)
	case modeShadow:
		line := shadowScope + cmp.Or(g.Scope, g.ProviderName)
		g.scope = newScopeLine(line, "")
		if g.Inbox != nil {
			return errors.New("mode shadow: an inbox answers in the app's place, which shadow never does: leave one of the two out")
		}
	default:
		return fmt.Errorf("mode: %q is neither enforce nor shadow", g.Mode)
	}
	return nil
}

// shadowing is a request that is judged and passed on whatever the result: nothing is
// refused, answered or waited for.
type shadowing struct{ *exchange }

// pass judges the request and hands it to the app.
func (x shadowing) pass(next caddyhttp.Handler) error {
	body := &shadowBody{x: x.exchange}
	body.came, x.r.Trailer = x.r.Trailer, maps.Clone(x.r.Trailer)
	defer body.release()
	x.body.shadow = body
	result, refused, held := x.weigh()
	if refused != nil {
		logRefused(x.exchange, refused)
	}
	x.r.Header[headerShadow] = []string{string(result)}
	caddyhttp.SetVar(x.r.Context(), shadowVar, &x.speaks)
	if x.named {
		event := x.event
		event.Scope = enforcedScope(event.Scope)
		setVerified(x.r.Header, &event, x.guard.sender.Authenticates())
		if x.guard.Resign != "" {
			x.speaks.signed, x.speaks.sent = true, takeSigned(x.r.Header)
		}
		if err := x.guard.resigner.sign(x.r.Header, event.Body(), body.key, x.guard.now()); err != nil {
			logEvent(x.exchange, zap.ErrorLevel, "signing the request anew failed; it is forwarded without", zap.Error(err))
		}
	}
	x.event.Release() // the app has it from here on
	body.rewind()
	return x.forward(next, result, held)
}

// weigh returns the result that an enforcing guard would have come to before the app, why
// it is not the app's to say, and whether the claim on the event is held.
func (x shadowing) weigh() (result webhook.Result, refused *webhook.Refusal, held *shadowClaim) {
	if refused := refuseGuarded(x.r); refused != nil { // its headers are the other guard's, for the app
		return refused.Result, refused, nil
	}
	silenceShadow(x.r)
	stripOwnHeaders(x.r)
	reply, refused := x.judge()
	switch {
	case reply != nil:
		return webhook.HandshakeAnswered, nil, nil
	case refused != nil:
		return refused.Result, refused, nil
	case x.event.Keys == (dedupe.Event{}):
		return webhook.Forwarded, nil, nil
	}
	if err := openStore(x.exchange); err != nil {
		refused = webhook.Refuse(webhook.StoreUnavailable, "%w", err)
		return refused.Result, refused, nil
	}
	c := &shadowClaim{x.exchange, x.event.Keys, dedupe.NewToken()}
	ctx, cancel := c.limited()
	defer cancel()
	// Nobody waits for the claim, so it need not be renewed.
	found, err := x.store.Claim(ctx, c.keys, c.token, x.guard.sender.Rules.Timeout)
	switch {
	case err != nil && withoutDedupe(x.guard, err):
		return webhook.Forwarded, nil, nil
	case err != nil:
		refused = webhook.Refuse(webhook.StoreUnavailable, "claiming the event: %w", err)
		return refused.Result, refused, nil
	case found.State == dedupe.Claimed:
		return webhook.Forwarded, nil, c
	case found.State == dedupe.Done:
		return webhook.Duplicate, nil, nil
	}
	return webhook.InFlight, nil, nil
}

// forward runs the app, and records the event's result.
func (x shadowing) forward(next caddyhttp.Handler, result webhook.Result, held *shadowClaim) error {
	x.result = result // for the rest of the route, unless the app fails
	answer := caddyhttp.NewResponseRecorder(x.w, nil, nil)
	success := false
	defer func() {
		if result == webhook.Forwarded && !success {
			result = webhook.UpstreamFailed
		}
		x.setResult(result)
		held.settle(success, answer.Status())
	}()
	start := x.guard.now()
	err := next.ServeHTTP(answer, x.r)
	x.inApp += x.guard.now().Sub(start)
	if err == nil && answer.Status() == 0 && result == webhook.Forwarded {
		result = webhook.Misconfigured
		logUnanswered(x.exchange)
	}
	success = err == nil && x.guard.sender.Rules.Success.Has(answer.Status())
	return err
}

// shadowClaim is the claim on an event in the namespace of shadow mode. A nil one is none.
type shadowClaim struct {
	x     *exchange
	keys  dedupe.Event
	token dedupe.Token
}

// limited is the context of one step of the store.
func (c *shadowClaim) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(c.x.r.Context()), shadowWait)
}

// settle records a success, or ends the claim. What the store does not take is counted
// there, and no more: no event depends on it.
func (c *shadowClaim) settle(success bool, status int) {
	if c == nil {
		return
	}
	ctx, cancel := c.limited()
	defer cancel()
	if success {
		done := dedupe.Success{Status: status}
		_ = c.x.store.Commit(ctx, c.keys, done, c.x.guard.sender.TTL(&c.x.event, c.x.guard.now()))
		return
	}
	_ = c.x.store.Release(ctx, c.keys, c.token)
}
