package caddymodule

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/recent"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// lately is what this process has seen, for its pages. It is kept while the configuration in
// force has a page.
var lately struct {
	kept               atomic.Bool
	refused, delivered recent.Log
}

// keepLately begins or ends to keep it.
func keepLately(keep bool) {
	if lately.kept.Swap(keep) && !keep {
		lately.refused.Clear()
		lately.delivered.Clear()
	}
}

// pages is what the pages of a configuration ask its app for.
type pages struct {
	app *App

	mu      sync.Mutex
	guards  []*Guard
	watched bool
}

// add makes a guard known, with what was seen of the one in whose place it comes.
func (p *pages) add(g *Guard) {
	if before := inForce.newest(); before != nil {
		g.witness = before.pages.witness(g)
	}
	if g.witness == nil {
		g.witness = new(recent.Witness)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guards = append(p.guards, g)
}

// witness returns the one of the same guard; nil where there is none.
func (p *pages) witness(g *Guard) *recent.Witness {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, other := range p.guards {
		if other.ProviderName == g.ProviderName && other.scope.line == g.scope.line && sameSecrets(other, g) {
			return other.witness
		}
	}
	return nil
}

// sameSecrets reports whether an index means the same secret in both guards.
func sameSecrets(a, b *Guard) bool {
	same := func(a, b Secret) bool { return a.Value == b.Value }
	return a.fingerprint() == b.fingerprint() && slices.EqualFunc(a.Secret, b.Secret, same) && slices.EqualFunc(a.PublicKey, b.PublicKey, same)
}

// Watch has what guards see kept as soon as this configuration is in force, and returns what
// reads it.
func (p *pages) Watch() recent.Source {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched = true
	return recent.Source{Refused: &lately.refused, Delivered: &lately.delivered, Guards: p.list}
}

// asked reports whether the configuration has a page.
func (p *pages) asked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.watched
}

func (p *pages) list() (guards []recent.Guard) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.guards {
		guards = append(guards, shown(g))
	}
	return guards
}

// shown is a guard as pages show it.
func shown(g *Guard) recent.Guard {
	shown := recent.Guard{
		Provider: g.ProviderName, Scope: g.scope.line, Place: g.place, Mode: modeEnforce,
		Carries: config.Credentials(g.sender.Rules), Seen: g.witness.Seen(),
	}
	for _, place := range shown.Carries {
		if place.Kind == signature.SourceHeader || place.Kind == signature.SourceHeaderJSON {
			name, _, _ := strings.Cut(place.Name, ".")
			shown.Headers = append(shown.Headers, name)
		}
	}
	shown.Facts, _ = g.Summarize(g.ProviderName) // it was checked when it was loaded
	if g.Mode != "" {
		shown.Mode = g.Mode
	}
	if g.inbox != nil {
		shown.Inbox = g.inbox.Name
	}
	return shown
}

// Inboxes calls do with the inboxes of the configuration, while their store is open. It
// returns [inboxes.ErrNone] where the store cannot have any.
func (p *pages) Inboxes(do func(inboxes.Manager) error) error {
	store, err := p.app.enter()
	if err != nil {
		return err
	}
	defer store.leave()
	if store.inboxes == nil {
		return inboxes.ErrNone
	}
	return do(managerOf(p.app, store))
}

// managerOf manages the inboxes of a store that has some.
func managerOf(a *App, store *sharedStore) inboxes.Manager {
	return inboxes.Manager{Set: &a.inboxes, Store: store.inboxes, Logger: a.logger}
}

// errNoEvent is returned for an event that is not named.
var errNoEvent = errors.New("name the event: its scope and its ID")

// Event returns what the store knows of an event. id is as logs have it.
func (p *pages) Event(ctx context.Context, scope, id string) (adminapi.EventState, error) {
	return p.ask(scope, id, func(asked askedEvent, store *sharedStore) (knownEvent, error) { return asked.lookUp(ctx, p.app, store) })
}

// Forget lets an event through again, and logs who asked for that and why.
func (p *pages) Forget(ctx context.Context, scope, id, by, why string) (adminapi.EventState, error) {
	logger := p.app.logger.With(zap.String("by", by), zap.String("reason", why))
	return p.ask(scope, id, func(asked askedEvent, store *sharedStore) (knownEvent, error) {
		return asked.forget(ctx, p.app, store, logger)
	})
}

func (p *pages) ask(scope, id string, do func(askedEvent, *sharedStore) (knownEvent, error)) (adminapi.EventState, error) {
	if scope == "" || id == "" {
		return adminapi.EventState{}, errNoEvent
	}
	store, err := p.app.enter()
	if err != nil {
		return adminapi.EventState{}, err
	}
	defer store.leave()
	asked := askedEvent{scope: scope, id: webhook.ParseID(id)}
	asked.keys = []dedupe.Key{webhook.IDKey(scope, asked.id)}
	found, err := do(asked, store)
	if err != nil {
		return adminapi.EventState{}, err
	}
	return stateOf(p.app, asked, found), nil
}

// sawVerified notes a verified request for the pages.
func sawVerified(g *Guard, event *webhook.Event, now time.Time) {
	if !lately.kept.Load() {
		return
	}
	secret := event.Secret
	if !g.sender.Authenticates() {
		secret = -1
	}
	g.witness.Verified(now, event.Sent, secret)
}

// sawRefused notes a refusal for the pages.
func sawRefused(x *exchange, refused *webhook.Refusal) {
	if !lately.kept.Load() {
		return
	}
	ip, _ := caddyhttp.GetVar(x.r.Context(), caddyhttp.ClientIPVarKey).(string)
	e := recent.Entry{
		At: x.guard.now(), Result: string(refused.Result), Reason: refused.Cause.Error(), Provider: x.guard.ProviderName, Scope: x.event.Scope,
		ClientIP: ip, Host: x.r.Host, Path: x.r.URL.Path, RequestID: requestID(x),
	}
	if x.named {
		e.ID, e.Event = x.event.JoinedID(), x.event.Type
	}
	lately.refused.Add(e)
}

// sawDelivered notes the result of an event for the pages. The status is 0 where there was
// no answer.
func sawDelivered(x *exchange, status int, failure error) {
	if !lately.kept.Load() {
		return
	}
	e := recent.Entry{
		At: x.guard.now(), Result: string(x.result), Provider: x.guard.ProviderName, Scope: x.event.Scope,
		Status: status, Took: max(0, x.inApp).Round(time.Microsecond),
	}
	if x.named {
		e.ID, e.Event = x.event.JoinedID(), x.event.Type
	}
	if failure != nil {
		e.Reason = reasonOf(failure)
	}
	lately.delivered.Add(e)
}

// reasonOf is an error without what Caddy's own adds to it for its log.
func reasonOf(err error) string {
	var handler caddyhttp.HandlerError
	if errors.As(err, &handler) && handler.Err != nil {
		err = handler.Err
	}
	return err.Error()
}
