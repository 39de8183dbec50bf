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
	noURL := g.publicURL.put(&sent, x.repl)
	j := g.sender.Begin(sent, &x.tenant, now)
	refused := x.authenticate(&j, now, noURL)
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
// only on the headers is judged before any of the body is read. noURL is why the URL that is
// signed is not known: a tenant that nobody knows has no secret either, and is refused for that.
func (x *exchange) authenticate(j *webhook.Judgement, now time.Time, noURL *webhook.Refusal) *webhook.Refusal {
	g := x.guard
	if refused := j.Head(); refused != nil {
		return refused
	}
	if noURL != nil {
		return noURL
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
