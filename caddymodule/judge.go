package caddymodule

import (
	"time"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// judge classifies the request. It returns the reply to a sender's check of the
// endpoint, or the reason why the request is no event, or it names the event.
func (x *exchange) judge() (*webhook.Reply, *webhook.Refusal) {
	reply, refused := classify(x)
	if !x.named {
		// Nobody has proved to be the tenant's sender. Logs name the tenant all the same.
		if scope, unknown := x.Scope(); unknown == nil {
			x.event.Scope = scope
		}
	}
	return reply, refused
}

func classify(x *exchange) (*webhook.Reply, *webhook.Refusal) {
	g := x.guard
	now := g.now()
	g.files.look(now)
	sent := facts(x.r)
	if refused := g.publicURL.put(&sent, x.repl); refused != nil {
		return nil, refused
	}
	j := g.sender.Begin(sent, &x.tenant, now)
	refused := x.authenticate(&j, now)
	if handshake := g.handshake.Load(); handshake != nil {
		var reply *webhook.Reply
		if reply, refused = handshake.Answer(&j, refused, &x.body); reply != nil {
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
	if x.body.shadow != nil && g.Resign != "" {
		x.body.shadow.key = mainKey(j.KeysIn(enforcedScope(x.event.Scope), &x.event))
	}
	if when := x.event.When(); !when.IsZero() {
		x.age = g.now().Sub(when)
	}
	return nil, nil
}

// authenticate verifies that the request is the sender's and recent. Whatever depends
// only on the headers is judged before any of the body is read.
func (x *exchange) authenticate(j *webhook.Judgement, now time.Time) *webhook.Refusal {
	g := x.guard
	if refused := j.Head(); refused != nil {
		return refused
	}
	if refused := x.body.read(g.sender.Rules.MaxBody); refused != nil {
		return refused
	}
	g.counts.bodyBytes.Observe(float64(len(x.event.Body())))
	if refused := j.Authenticate(x.event.Body()); refused != nil {
		return refused
	}
	x.event.Owned().MarkVerified()
	x.body.publish()
	j.Times(&x.event)
	g.counts.verified(&x.event, g.sender, now)
	sawVerified(g, &x.event, now)
	return nil
}
