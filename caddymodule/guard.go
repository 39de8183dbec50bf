// Package caddymodule is the Caddy adapter of Webhook Guard: the handler that
// stands in front of an app, the app module that its handlers share, the dedupe
// stores as guest modules, the Caddyfile syntax and the command line.
//
// The handler takes a request through receive → judge → claim → deliver → settle, one
// file each. The decisions are made in the packages below: webhook judges requests,
// config describes senders, signature verifies, dedupe remembers events.
package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/flood"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/origin"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/recent"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

func init() {
	caddy.RegisterModule((*Guard)(nil))
}

// Guard lets a webhook through only when its signature, its age and its event
// ID check out, and lets each event through once.
//
// It verifies the sender's signature over the exact bytes received, refuses what
// is too old, recognises events that have been handled by their ID and content,
// and hands the rest to the next handler, usually a `reverse_proxy`. The app's
// answer is held until the event is recorded as finished; if the app fails, the
// sender's retry is forwarded. Every answer says in its `Webhook-Guard` header
// the result.
//
// It sets these placeholders, for the rest of the route, error routes and logs:
//
// Placeholder | Description
// ------------|------------
// `{http.webhook_guard.result}` | `forwarded`, `duplicate`, `signature_invalid`, …
// `{http.webhook_guard.provider}` | The provider's name
// `{http.webhook_guard.scope}` | The namespace of the event's ID
// `{http.webhook_guard.id}` | The event or delivery ID
// `{http.webhook_guard.event}` | The event's type
// `{http.webhook_guard.age}` | The event's or request's age in seconds
// `{http.webhook_guard.secret}` | The index, from 0, of the secret that matched
type Guard struct {
	// The sender: a name from the built-in catalogue, or one of the app's own
	// `providers`.
	ProviderName string `json:"provider,omitempty"`

	// The shared secrets; any one that is in force may match.
	Secret []Secret `json:"secret,omitempty"`

	// The sender's public keys, instead of secrets, where it signs with a private
	// key of its own: PEM, or the bytes in base64 or hex. Any one that is in force
	// may match.
	PublicKey []Secret `json:"public_key,omitempty"`

	// The credentials that a sender's API wants before it gives its public keys, where
	// `keys` names one: a token, or an ID and its secret. Placeholders and files are as in
	// `secret`. They are sent to that API only.
	KeysSecret []string `json:"keys_secret,omitempty"`

	// Take an unsigned provider's requests without any token. Whoever knows the
	// URL can then send events.
	InsecureUnsigned bool `json:"insecure_unsigned,omitempty"`

	// The namespace of event IDs. Tenants must never share one: with it, a
	// tenant could use up another's event ID. May hold placeholders. Guards that
	// share one on purpose all say so. Default: the provider's name, for one guard
	// of the provider only.
	Scope string `json:"scope,omitempty"`

	// What to do when the store cannot answer: `reject` with 503, or `forward`
	// without dedupe and count it. Default: `reject`.
	OnStoreError string `json:"on_store_error,omitempty"`

	// Keep verified events and deliver them from there, so that the sender gets its answer
	// at once. The rest of the route is not run. Default: the sender waits for the app.
	Inbox *inboxes.Config `json:"inbox,omitempty"`

	// Sign what is forwarded with this secret, in the scheme of Standard Webhooks: `whsec_`
	// and base64. Placeholders are as in a secret. For apps that can be reached past the
	// gateway. Default: off.
	Resign string `json:"resign,omitempty"`

	// `enforce`, or `shadow`: judge, log and count in a namespace of its own, and pass
	// everything on, with the result in the header Webhook-Guard-Shadow. Nothing is refused,
	// answered or waited for. Default: `enforce`.
	Mode string `json:"mode,omitempty"`

	// Everything that a provider has, laid over the provider's own.
	config.Provider

	app       *App
	inbox     *inboxes.Inbox // nil without one
	parsed    *inboxes.Parsed
	sender    *webhook.Sender
	secrets   secrets
	scope     scopeLine
	publicURL varyingURL
	methods   string // as the Allow header has them
	handshake atomic.Pointer[webhook.Handshake]
	confirmer confirmer
	resigner  resigner
	files     follower // those that hold the secrets, or the handshake's argument
	place     string   // where the guard stands, as far as that is known
	before    origin.Outputs

	now     func() time.Time
	logger  *zap.Logger
	metrics *metrics
	counts  *counts
	floods  flood.Floods
	witness *recent.Witness
}

// Secret is one of a guard's shared secrets, or public keys.
type Secret struct {
	// The secret. Placeholders such as `{env.X}` and `{file./path}` are resolved
	// when the configuration is loaded; the result is never written back. A file is
	// looked at again, at most once a second, so that its new content is in force
	// without a reload.
	Value string `json:"value"`

	// The secret is not taken any more from this time on. Default: always taken.
	Until *time.Time `json:"until,omitempty"`

	// Resolve the placeholders for each request, as for a `map` that knows the
	// tenants. Needs a `scope` with a placeholder. Not for public keys.
	PerRequest bool `json:"per_request,omitempty"`
}

const (
	storeErrorReject  = "reject"
	storeErrorForward = "forward"
)

// CaddyModule implements caddy.Module.
func (*Guard) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.webhook_guard",
		New: func() caddy.Module { return new(Guard) },
	}
}

// Provision implements caddy.Provisioner. It never touches the network.
func (g *Guard) Provision(ctx caddy.Context) error {
	g.logger = ctx.Logger()
	if g.now == nil {
		g.now = time.Now
	}
	app, err := ctx.App(appID)
	if err != nil {
		return err
	}
	g.app = app.(*App)
	g.metrics = g.app.metrics
	g.place, g.before = placeOf(ctx), origin.Before(ctx)
	if err := g.provision(); err != nil {
		return fmt.Errorf("webhook_guard: provider %q, scope %q: %w", g.ProviderName, g.scope.line, err)
	}
	if err := provisionInbox(ctx, g); err != nil {
		return fmt.Errorf("webhook_guard: provider %q, scope %q: %w", g.ProviderName, g.scope.line, err)
	}
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if err := checkHeaderNames(g.sender.Rules.Reads().Headers(), server); err != nil {
		return fmt.Errorf("webhook_guard: provider %q: %w", g.ProviderName, err)
	}
	g.app.servers.add(server)
	g.warnOfToken()
	warnOfHosts(g)
	if g.secrets.ofManyHosts(g.before) && g.scope.holdsHost(g.before) && !namesHosts(ctx) {
		g.logger.Warn("the scope holds the host, and requests to any host reach the guard: one captured event passes once for each name that its sender makes up: name the hosts of the site",
			zap.String("provider", g.ProviderName), zap.String("scope", g.scope.line))
	}
	return nil
}

func (g *Guard) provision() error {
	if err := provisionMode(g); err != nil {
		return err
	}
	if g.ProviderName == "" {
		return errors.New("name the provider: webhook_guard <provider> { … }")
	}
	base, err := g.app.provider(g.ProviderName)
	if err != nil {
		return err
	}
	_, builtin := config.Builtin()[g.ProviderName]
	written := !builtin || len(g.Signed)+len(g.Claim) > 0
	g.Provider = g.Over(base)
	provider, err := placeholder.Constants(g.Provider)
	if err != nil {
		return err
	}
	if g.sender, err = webhook.New(g.ProviderName, provider); err != nil {
		return err
	}
	if g.publicURL, err = resolvePublicURL(g.PublicURL, g.sender.Rules); err != nil {
		return err
	}
	warnOfBorders(g, written)
	warnOfBareTokens(g, written)
	g.counts = g.metrics.of(g.ProviderName, g.scope.line, g.Inbox != nil)
	switch g.OnStoreError {
	case "":
		g.OnStoreError = storeErrorReject
	case storeErrorReject, storeErrorForward:
	default:
		return fmt.Errorf("on_store_error: %q is neither reject nor forward", g.OnStoreError)
	}
	g.methods = strings.Join(g.sender.Rules.Methods, ", ")
	if err := g.provisionSecrets(); err != nil {
		return err
	}
	g.app.watched.add(g)
	if err := g.provisionHandshake(); err != nil {
		return err
	}
	if err := provisionResign(g); err != nil {
		return err
	}
	if err := g.checkTenancy(); err != nil {
		return err
	}
	g.app.pages.add(g)
	return g.app.scopes.add(scopeClaim{
		provider: g.ProviderName, scope: g.scope.line, loaded: g.scope.loaded(), explicit: g.Scope != "",
		byID: g.sender.ByIDAlone(), inbox: g.Inbox, fingerprint: g.fingerprint(), place: g.place,
	})
}

// provisionSecrets loads the lines that authenticate the provider.
func (g *Guard) provisionSecrets() error {
	line, lines, err := g.secretLines()
	if err != nil {
		return err
	}
	g.files.now, g.files.logger = g.now, g.logger.With(zap.String("provider", g.ProviderName), zap.String("scope", g.scope.line))
	g.secrets.sender, g.secrets.files = g.sender, &g.files
	from := g.sender.Rules.Keys
	if from == nil || len(lines) > 0 {
		if len(g.KeysSecret) > 0 {
			return errors.New("keys_secret: no key is fetched with it: leave the line out")
		}
		return g.secrets.load(line, lines, &g.scope)
	}
	if from.X5C != nil {
		return g.secrets.pin(from)
	}
	credentials, err := loadCredentials(&g.files, g.KeysSecret, from)
	if err != nil {
		return err
	}
	if g.secrets.fetched, err = g.app.keys.of(g.app.ctx, g.app.logger, from, g.sender.Rules.Scheme, credentials); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

// checkTenancy refuses scopes and secrets that let one captured event pass under many
// names.
func (g *Guard) checkTenancy() error {
	if err := g.secrets.checkChoice(g.before); err != nil {
		return err
	}
	if err := g.secrets.checkShown(&g.scope); err != nil {
		return err
	}
	g.secrets.findBare(g.before)
	if g.secrets.ofTenants() {
		if err := g.scope.checkTenants(g.secrets.perRequest, g.before); err != nil {
			return err
		}
		return g.scope.checkNames(g.Secret, g.before)
	}
	return g.scope.checkChoice(g.before)
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := g.newExchange(w, r)
	defer x.end()
	if g.Mode == modeShadow {
		return shadowing{x}.pass(next)
	}
	if refused := x.receive(); refused != nil {
		return x.refuse(refused)
	}
	reply, refused := x.judge()
	switch {
	case reply != nil:
		return x.confirm(reply)
	case refused != nil:
		return x.refuse(refused)
	}
	admission := x.claim()
	if g.inbox != nil {
		return keeping{x}.keep(admission)
	}
	switch admission.standing {
	case unknown:
		return x.refuse(admission.refused)
	case done:
		return x.duplicate(admission.finished)
	}
	x.route.x, x.route.next = x, next
	outcome := x.deliver(admission.claim, &x.route)
	admission.claim.settle(outcome)
	return x.answer(outcome)
}

var (
	_ caddy.Provisioner           = (*Guard)(nil)
	_ caddyhttp.MiddlewareHandler = (*Guard)(nil)
)
