package caddymodule

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// scope is the configured text of the namespace of event IDs.
func (g *Guard) scope() string {
	if g.Scope == "" {
		return g.ProviderName
	}
	return g.Scope
}

// scopeFor is the namespace of one request's event.
func (g *Guard) scopeFor(repl *caddy.Replacer) (string, *webhook.Refusal) {
	if !g.scopeText.Varies() {
		return g.scope(), nil
	}
	scope, err := g.scopeText.Fill(func(name string) (any, bool) {
		value, known := repl.Get(name)
		if hostName(name) {
			// One host has many spellings, and one event must have one scope.
			value = strings.TrimSuffix(strings.ToLower(caddy.ToString(value)), ".")
		}
		return value, known
	})
	if err != nil || scope == "" {
		return g.Scope, webhook.Refuse(webhook.Misconfigured,
			"the scope %s has no value for this request: give its map a default, or guard only what it knows", g.Scope)
	}
	return scope, nil
}

// hostName reports whether a placeholder holds the request's host, or labels of it.
func hostName(name string) bool {
	return name == "http.request.host" || strings.HasPrefix(name, "http.request.host.labels.")
}

// checkScope refuses a scope that the sender chooses, beside a secret that stays the
// same: whoever has captured one event could replay it into as many scopes as there are.
func (g *Guard) checkScope() error {
	if len(g.perRequest) > 0 && g.fixed.empty() {
		return nil
	}
	for _, name := range g.scopeText.Names() {
		if chosenBySender(name) {
			return fmt.Errorf("scope: {%s} is chosen by the sender, while the secret stays the same: one captured event could be replayed into any number of scopes: use {http.request.host} or the output of a map that knows the tenants, or a secret of each tenant's own, secret <value> per_request", name)
		}
	}
	return nil
}

// chosenBySender reports whether a placeholder holds what the sender of a request, or
// whoever replays one, can write as they like. The host decides which site gets it.
func chosenBySender(name string) bool {
	for _, ours := range []string{"http.request.tls.", "http.request.local."} {
		if strings.HasPrefix(name, ours) {
			return false
		}
	}
	return !hostName(name) && (strings.HasPrefix(name, "http.request.") || strings.HasPrefix(name, "http.regexp."))
}

// scopeClaim is one guard's use of a scope.
type scopeClaim struct {
	provider, scope string
	explicit        bool // set by a scope line
	fingerprint     [sha256.Size]byte
	place           string
}

func (g *Guard) claimOfScope() scopeClaim {
	return scopeClaim{g.ProviderName, g.scope(), g.Scope != "", g.fingerprint(), g.place}
}

// claimScope refuses a second guard that would share a scope by accident: of two apps
// behind one scope, only the first to come gets each event, and of two tenants, each can
// use up the event IDs of the other.
func (a *App) claimScope(c scopeClaim) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, other := range a.scopes {
		switch {
		case other.scope != c.scope:
		case !c.explicit || !other.explicit:
			return fmt.Errorf("webhook_guard %s%s and webhook_guard %s%s share the scope %s, so that the app behind one of them would not get the events that the other has handled: give each one a scope of its own, scope <name>, or write the same scope line into both where they lead to one app",
				other.provider, other.at(), c.provider, c.at(), c.scope)
		case other.fingerprint != c.fingerprint:
			return fmt.Errorf("webhook_guard %s%s shares the scope %s with webhook_guard %s%s, which has another provider, or other secrets, signed bytes or id: give each one a scope of its own, scope <name>",
				c.provider, c.at(), c.scope, other.provider, other.at())
		}
	}
	a.scopes = append(a.scopes, c)
	return nil
}

func (c scopeClaim) at() string {
	if c.place == "" {
		return ""
	}
	return " (" + c.place + ")"
}

// fingerprint digests what must not differ between guards that share a scope: the
// provider, the secrets, what is signed, and what the ID is.
func (g *Guard) fingerprint() [sha256.Size]byte {
	var values []string
	for _, s := range slices.Concat(g.Secret, g.PublicKey) {
		// Resolved, because two placeholders may hold one secret; but not what is in
		// files, which may change.
		text := s.Value
		if !s.PerRequest {
			text, _ = placeholder.Parse(text).WithoutFiles()
		}
		values = append(values, text)
	}
	slices.Sort(values)                                                                                       // their order means nothing
	encoded, _ := json.Marshal([]any{g.ProviderName, values, g.Token, g.Signature, g.Signed, g.Scheme, g.ID}) // strings only: cannot fail
	return sha256.Sum256(encoded)
}

// placeOf names the place of the handler that is being provisioned, by what its server
// listens on and by the hosts and paths of its routes.
func placeOf(ctx caddy.Context) string {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil {
		return ""
	}
	words := slices.Clone(server.Listen)
	lists := []caddyhttp.RouteList{server.Routes}
	for _, module := range ctx.Modules() {
		if sub, ok := module.(*caddyhttp.Subroute); ok {
			lists = append(lists, sub.Routes)
		}
	}
	for _, routes := range lists {
		// Routes are loaded in their order, and their raw handlers are dropped then:
		// the first that has some is the one that is being loaded.
		if i := slices.IndexFunc(routes, func(r caddyhttp.Route) bool { return r.HandlersRaw != nil }); i >= 0 {
			words = append(words, matched(routes[i].MatcherSets)...)
		}
	}
	return strings.Join(words, " ")
}

// matched are the hosts and paths of a route.
func matched(sets caddyhttp.MatcherSets) []string {
	var words []string
	for _, set := range sets {
		for _, matcher := range set {
			switch m := matcher.(type) {
			case *caddyhttp.MatchHost:
				words = append(words, *m...)
			case caddyhttp.MatchHost:
				words = append(words, m...)
			case *caddyhttp.MatchPath:
				words = append(words, *m...)
			case caddyhttp.MatchPath:
				words = append(words, m...)
			}
		}
	}
	return words
}
