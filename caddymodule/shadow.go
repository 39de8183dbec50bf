package caddymodule

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
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

	// maxShadowed bounds the bodies that guards in shadow mode hold, in bytes. They have no
	// deadline, as they go on to the app in any case, so they do not count against
	// max_buffered, where they would keep others waiting.
	maxShadowed = 64 << 20
)

// shadowed is how many bytes those bodies have.
var shadowed atomic.Int64

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
	defer body.release()
	x.body.shadow = body
	result, refused, held := x.weigh()
	if refused != nil {
		logRefused(x.exchange, refused)
	}
	x.r.Header[headerShadow] = []string{string(result)}
	if x.named {
		event := x.event
		event.Scope = strings.TrimPrefix(event.Scope, shadowScope)
		setVerified(x.r.Header, &event, x.guard.sender.Authenticates())
		if err := x.guard.resigner.sign(x.r.Header, event.Body(), event.Keys.Content, x.guard.now()); err != nil {
			x.guard.logger.Error("signing the request anew failed; it is forwarded without", x.logFields(zap.Error(err))...)
		}
	}
	body.rewind()
	return x.forward(next, result, held)
}

// weigh returns the result that an enforcing guard would have come to before the app, why
// it is not the app's to say, and whether the claim on the event is held.
func (x shadowing) weigh() (result webhook.Result, refused *webhook.Refusal, held *shadowClaim) {
	if refused := x.receive(); refused != nil {
		return refused.Result, refused, nil
	}
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
	// Nobody waits for the claim, so it need not be renewed.
	found, err := x.store.Claim(context.WithoutCancel(x.r.Context()), c.keys, c.token, x.guard.sender.Rules.Timeout)
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

// settle records a success, or ends the claim. What the store does not take is counted
// there, and no more: no event depends on it.
func (c *shadowClaim) settle(success bool, status int) {
	if c == nil {
		return
	}
	ctx := context.WithoutCancel(c.x.r.Context())
	if success {
		done := dedupe.Success{Status: status}
		_ = c.x.store.Commit(ctx, c.keys, done, c.x.guard.sender.TTL(&c.x.event, c.x.guard.now()))
		return
	}
	_ = c.x.store.Release(ctx, c.keys, c.token)
}

// shadowBody is a body that is read to be judged, and goes on to the app as it came: also
// where it was too large to be held, or broke off.
type shadowBody struct {
	x    *exchange
	rest io.ReadCloser // what has not been read; nil: the body has not been touched
	read bytes.Buffer
	held int64
	err  error // how it ended, where that was not its end
}

// take reads the body into the event.
func (b *shadowBody) take(limit int64) *webhook.Refusal {
	r := b.x.r
	if r.ContentLength > limit {
		return webhook.Refuse(webhook.BodyTooLarge, "the body has %d bytes, the limit is %d", r.ContentLength, limit)
	}
	b.rest = r.Body
	const most = 32 << 10
	for int64(b.read.Len()) <= limit {
		step := min(most, limit+1-int64(b.read.Len())) // one byte too many shows that the body is too large
		if !b.reserve(step) {
			return webhook.Refuse(webhook.Overloaded, "guards in shadow mode hold %d MiB of bodies already", maxShadowed>>20)
		}
		_, err := io.CopyN(&b.read, b.rest, step)
		switch {
		case errors.Is(err, io.EOF):
			stripOwnNames(r.Trailer)
			b.x.event.Own(body.Of(b.read.Bytes()))
			return nil
		case err != nil:
			b.err = err
			return webhook.Refuse(webhook.BodyUnreadable, "%w", err)
		}
	}
	return webhook.Refuse(webhook.BodyTooLarge, "the body has more than %d bytes", limit)
}

func (b *shadowBody) reserve(n int64) bool {
	if shadowed.Add(n) > maxShadowed {
		shadowed.Add(-n)
		return false
	}
	b.held += n
	return true
}

// rewind gives the app the whole body: what was read, and what has not been.
func (b *shadowBody) rewind() {
	if b.rest == nil {
		return
	}
	rest := io.Reader(b.rest)
	if b.err != nil {
		rest = brokenReader{b.err}
	}
	b.x.r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(b.read.Bytes()), rest), b.rest}
}

func (b *shadowBody) release() { shadowed.Add(-b.held) }

// brokenReader ends a body as the sender's connection did.
type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }
