package caddymodule

import (
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// bodies is the budget of all bodies in the process, whatever configuration their
// requests belong to.
var bodies = body.NewBudget(defaultMaxBuffered)

// judge classifies the request. It returns the reply to a sender's check of the
// endpoint, or the reason why the request is no event, or it names the event.
func (x *exchange) judge() (*webhook.Reply, *webhook.Refusal) {
	g := x.guard
	now := g.now()
	g.files.look(now)
	sent := facts(x.r)
	if refused := g.publicURL.put(&sent, x.repl); refused != nil {
		return nil, refused
	}
	j := g.sender.Begin(sent, x, now)
	refused := x.authenticate(&j, now)
	if handshake := g.handshake.Load(); handshake != nil {
		var reply *webhook.Reply
		if reply, refused = handshake.Answer(&j, refused, x); reply != nil {
			return reply, nil
		}
	}
	if refused != nil {
		return nil, refused
	}
	if refused = j.Identify(&x.event); refused != nil {
		return nil, refused
	}
	x.named = true
	if when := x.event.When(); !when.IsZero() {
		x.age = g.now().Sub(when)
	}
	return nil, nil
}

// authenticate verifies that the request is the sender's and recent. Whatever depends
// only on the headers is judged before any of the body is read.
func (x *exchange) authenticate(j *webhook.Judgement, now time.Time) *webhook.Refusal {
	if refused := j.Head(); refused != nil {
		return refused
	}
	if refused := x.readBody(x.guard.sender.Rules.MaxBody); refused != nil {
		return refused
	}
	x.guard.counts.bodyBytes.Observe(float64(len(x.event.Body())))
	if refused := j.Authenticate(x.event.Body()); refused != nil {
		return refused
	}
	x.event.Owned().MarkVerified()
	j.Times(&x.event)
	x.countVerified(now)
	return nil
}

// readBody reads at most limit bytes of the body into the event.
func (x *exchange) readBody(limit int64) *webhook.Refusal {
	x.bodyAsked = true
	read, err := body.Read(x.w, x.r, limit, x.guard.sender.Rules.BodyTimeout, bodies)
	if err != nil {
		return webhook.RefuseBody(err)
	}
	x.own(read)
	return nil
}

// maxCheck limits how much of an unauthenticated body is read to look for a sender's
// check of the endpoint. Such bodies are tiny.
const maxCheck = 4 << 10

// ReadCheck implements [webhook.CheckBody].
func (x *exchange) ReadCheck() ([]byte, bool) {
	if x.event.Owned() == nil {
		if x.readBody(min(x.guard.sender.Rules.MaxBody, maxCheck)) != nil {
			return nil, false
		}
	}
	return x.event.Body(), true
}

// countVerified counts which secret matched and how old the event is.
func (x *exchange) countVerified(now time.Time) {
	g := x.guard
	if when := x.event.When(); !when.IsZero() {
		g.counts.eventAge.Observe(now.Sub(when).Seconds())
	}
	if g.sender.Authenticates() {
		g.counts.secret(x.event.Secret).Inc()
	}
}
