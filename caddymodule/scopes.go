package caddymodule

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/origin"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/scope"
)

// scopeClaim is one guard's use of a scope.
type scopeClaim struct {
	provider, scope string
	loaded          string          // the scope with what is known when the configuration loads
	explicit        bool            // set by a scope line
	byID            bool            // copies are recognised by ID alone
	inbox           *inboxes.Config // nil where it has none
	fingerprint     [sha256.Size]byte
	place           string
}

// scopes are those of a configuration's guards.
type scopes struct {
	mu     sync.Mutex
	claims []scopeClaim
}

// add refuses a second guard that would share a scope by accident: of two apps
// behind one scope, only the first to come gets each event, and of two tenants, each can
// use up the event IDs of the other.
func (s *scopes) add(c scopeClaim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.claims {
		switch {
		case other.loaded != c.loaded:
		case !c.explicit || !other.explicit:
			return fmt.Errorf("webhook_guard %s%s and webhook_guard %s%s share the scope %s, so that the app behind one of them would not get the events that the other has handled: give each one a scope of its own, scope <name>, or write the same scope line into both where they lead to one app",
				other.provider, other.at(), c.provider, c.at(), c.scope)
		case other.fingerprint != c.fingerprint:
			return fmt.Errorf("webhook_guard %s%s shares the scope %s with webhook_guard %s%s, which has another provider, or other secrets, signed bytes or id: give each one a scope of its own, scope <name>",
				c.provider, c.at(), c.scope, other.provider, other.at())
		}
	}
	s.claims = append(s.claims, c)
	return nil
}

func (c scopeClaim) at() string {
	if c.place == "" {
		return ""
	}
	return " (" + c.place + ")"
}

// knownScope is what the guards that can have events in a scope have in common.
type knownScope struct {
	known bool   // there is one
	byID  bool   // copies are recognised by ID alone
	inbox string // the name of their inbox; "" where they have none
}

func (s *scopes) find(name string) (found knownScope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.claims {
		if scope.Matches(c.scope, name) {
			found.byID = c.byID && (found.byID || !found.known)
			found.known = true
			if c.inbox != nil {
				found.inbox = c.inbox.Name
			}
		}
	}
	return found
}

// lines lists the scopes as the configuration has them.
func (s *scopes) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, c := range s.claims {
		lines = append(lines, c.scope)
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// placeOf names the place of the handler that is being provisioned, by what its server
// listens on and by the hosts and paths of its routes.
func placeOf(ctx caddy.Context) string {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil {
		return ""
	}
	words := slices.Clone(server.Listen)
	for _, routes := range origin.Routes(ctx) {
		if i := origin.Loading(routes); i >= 0 {
			_, matched := matchedBy(routes[i].MatcherSets)
			words = append(words, matched...)
		}
	}
	return strings.Join(words, " ")
}

// namesHosts reports whether the routes that lead to the handler which is being
// provisioned match hosts by their whole names.
func namesHosts(ctx caddy.Context) bool {
	for _, routes := range origin.Routes(ctx) {
		i := origin.Loading(routes)
		if i < 0 {
			continue
		}
		hosts, _ := matchedBy(routes[i].MatcherSets)
		if len(hosts) > 0 && !slices.ContainsFunc(hosts, func(host string) bool { return strings.ContainsAny(host, "*{") }) {
			return true
		}
	}
	return false
}

// matchedBy are the hosts of a route, and its hosts and paths in their order.
func matchedBy(sets caddyhttp.MatcherSets) (hosts, all []string) {
	for _, set := range sets {
		for _, matcher := range set {
			switch m := matcher.(type) {
			case *caddyhttp.MatchHost:
				hosts, all = append(hosts, *m...), append(all, *m...)
			case caddyhttp.MatchHost:
				hosts, all = append(hosts, m...), append(all, m...)
			case *caddyhttp.MatchPath:
				all = append(all, *m...)
			case caddyhttp.MatchPath:
				all = append(all, m...)
			}
		}
	}
	return hosts, all
}
