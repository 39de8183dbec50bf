package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// provisionInbox loads the guard's inbox, where it has one.
func provisionInbox(ctx caddy.Context, g *Guard) (err error) {
	if g.Inbox == nil {
		return nil
	}
	if answer := g.sender.Rules.Answer; answer != nil && answer.Remember > 0 {
		return errAnswerIsInstruction
	}
	if g.OnStoreError == storeErrorForward {
		return errNoForwarding
	}
	if !keepsEvents(g.app) {
		return errNoInboxStore
	}
	same, err := digest(g)
	if err != nil {
		return err
	}
	scope := ""
	if !g.scope.varies() {
		scope = g.scope.loaded()
	}
	g.inbox, err = inboxes.New(ctx, g.Inbox, inboxes.Guard{
		Provider: g.ProviderName, Scope: scope, Same: same, Success: g.sender.Rules.Success, Timeout: g.sender.Rules.Timeout,
		Tries: triesOfAttempt, Metrics: g.app.inboxMetrics,
		Sign: func(header http.Header, body []byte, key inbox.Key) error {
			g.files.look(g.now()) // no request need have come since the secret has changed
			return g.resigner.sign(header, body, dedupe.Key(key), g.now())
		},
		Remember: func(key inbox.Key, marks []string) { rememberDelivered(g, key, marks) },
		Follow:   g.files.follow, Look: func() { g.files.look(g.now()) },
	})
	if err != nil {
		return err
	}
	g.inbox, err = g.app.inboxes.Add(g.inbox)
	return err
}

// rememberDelivered remembers an event of the inbox that the app has taken long after it was
// accepted. So no copy of it is accepted within dedupe_ttl from then on. marks are those of
// [contentMarks], kept with the event.
func rememberDelivered(g *Guard, key inbox.Key, marks []string) {
	store, err := g.app.enter()
	if err != nil {
		return // it is closed, and the worker's own is the last user
	}
	defer store.leave()
	event, success := dedupe.Event{ID: dedupe.Key(key)}, dedupe.Success{Status: http.StatusOK}
	if len(marks) == 2 {
		if content, err := dedupe.ParseKey(marks[0]); err == nil {
			event.Content, success.IDText = content, marks[1]
		}
	}
	ttl := g.sender.TTL(new(webhook.Event), g.now())
	if err := store.Commit(background, event, success, ttl); err != nil {
		store.commitLater(new(flight), event, success, ttl, nil)
	}
}

// contentMarks are what an event is recognised by under another ID, and the ID that it came
// with; nil where its ID alone tells, or the inbox knows it by nothing else.
func contentMarks(e *webhook.Event) []string {
	if e.Keys.ID.IsZero() || e.Keys.Content.IsZero() {
		return nil
	}
	return []string{e.Keys.Content.String(), shortID(e.ID)}
}

// digest is the same for guards of the same configuration.
func digest(g *Guard) ([sha256.Size]byte, error) {
	text, err := json.Marshal(g)
	return sha256.Sum256(text), err
}

// triesOfAttempt gives an attempt the tries that a forwarded request has, and marks it as
// one that has passed a guard.
func triesOfAttempt(ctx context.Context, cancel context.CancelFunc, r *body.Reader, once bool) (context.Context, func() error) {
	t := &tries{Context: context.WithValue(ctx, guardedKey{}, true), cancel: cancel, reader: r, once: once}
	return t, t.ended
}

// keeping is an exchange whose event goes into the inbox.
type keeping struct{ *exchange }

// keep puts the event into the inbox in place of delivering it, and answers its sender.
func (x keeping) keep(a admission) error {
	switch a.standing {
	case unknown:
		return x.turnAway(a.refused)
	case done:
		return x.keepCopy(a.finished)
	}
	answer, err := x.put()
	result, refused := kept(answer, err)
	if refused != nil {
		a.claim.settle(outcome{})
		return x.turnAway(refused)
	}
	success := again(x.guard, &dedupe.Success{Status: http.StatusOK})
	a.claim.settleKept(dedupe.Success{Status: success.Status})
	return acknowledge(x.exchange, result, success)
}

// keepCopy answers a copy of an event that has been accepted: it may wait, or have been
// given up.
func (x keeping) keepCopy(copied finished) error {
	if copied.conflict && x.guard.sender.TellsConflicts() {
		return x.duplicate(copied) // which reports it, and it is no copy of what waits
	}
	key := inboxKey(x.event.Keys)
	if id := copied.success.IDText; copied.byContent && id != "" && id != shortID(x.event.ID) {
		key = inbox.Key(webhook.IDKey(x.event.Scope, webhook.ParseID(id)))
	}
	answer, err := x.guard.inbox.Revive(context.WithoutCancel(x.r.Context()), x.store.inboxes, key)
	result, refused := kept(answer, err)
	switch {
	case refused != nil:
		return x.turnAway(refused)
	case result == webhook.Duplicate:
		return x.duplicate(copied)
	}
	return acknowledge(x.exchange, result, again(x.guard, copied.success))
}

// turnAway refuses an event that the inbox does not accept, and counts why, whichever step it
// was that failed.
func (x keeping) turnAway(refused *webhook.Refusal) error {
	switch refused.Result {
	case webhook.Overloaded:
		x.guard.inbox.RefusedFull()
	case webhook.StoreUnavailable:
		x.guard.inbox.RefusedByStore()
	}
	return x.refuse(refused)
}

// put puts the event into the inbox.
func (x keeping) put() (inbox.Answer, error) {
	if err := openStore(x.exchange); err != nil { // claim opens none for an event that nothing identifies
		return 0, err
	}
	key := inboxKey(x.event.Keys)
	if key == (inbox.Key{}) {
		key = inbox.Key(inbox.NewToken())
	}
	envelope := x.envelope()
	return x.guard.inbox.Put(context.WithoutCancel(x.r.Context()), x.store.inboxes, inbox.Event{
		Key: key, Scope: cut(x.event.Scope), ID: cut(x.event.JoinedID()), Type: cut(x.event.Type), Envelope: envelope.Encode(),
	})
}

// inboxKey is what an event is called in the inbox: by its ID, which its sender repeats, or
// by what is signed.
func inboxKey(keys dedupe.Event) inbox.Key { return inbox.Key(mainKey(keys)) }

// mainKey is what an event is recognised by: its ID, where it has one, or what is signed.
func mainKey(keys dedupe.Event) dedupe.Key {
	if !keys.ID.IsZero() {
		return keys.ID
	}
	return keys.Content
}

// cut shortens a text that is only there to be listed.
func cut(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), inbox.MaxText)], "")
}

// envelope is the request as the app is to get it.
func (x keeping) envelope() inbox.Envelope {
	r := x.r
	removeToken(r, x.guard.sender.Rules.Token)
	// Not in the request's own: where the event is refused, error routes see these.
	header := maps.Clone(r.Header)
	setVerified(header, &x.event, x.guard.sender.Authenticates())
	if marks := contentMarks(&x.event); marks != nil {
		header[inboxes.HeaderContent] = marks
	}
	e := inbox.Envelope{
		Method: r.Method, URI: r.URL.RequestURI(), Scheme: "http", Host: r.Host, RemoteAddr: r.RemoteAddr,
		Header: header, Body: x.event.Body(),
	}
	if r.TLS != nil {
		e.Scheme = "https"
	}
	return e
}

// kept returns the result that the inbox's answer means, or why the event is refused.
func kept(a inbox.Answer, err error) (webhook.Result, *webhook.Refusal) {
	switch {
	case err != nil:
		return "", webhook.Refuse(webhook.StoreUnavailable, "keeping the event: %w", err)
	case a == inbox.Accepted:
		return webhook.Accepted, nil
	case a == inbox.Queued:
		return webhook.Queued, nil
	case a == inbox.Revived:
		return webhook.Revived, nil
	case a == inbox.Full:
		return "", webhook.Refuse(webhook.Overloaded, "the inbox is full: the app takes events more slowly than they come, or not at all")
	}
	return webhook.Duplicate, nil
}
