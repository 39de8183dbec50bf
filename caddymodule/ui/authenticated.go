package ui

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/caddyauth"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/routes"
)

// WarnOfOpenPages warns of pages that nothing authenticates the users of.
func WarnOfOpenPages(ctx caddy.Context, logger *zap.Logger) {
	for name, server := range routes.Servers(ctx) {
		if asksForCertificates(server) {
			continue
		}
		w := routes.Walk[[]proof]{Named: server.NamedRoutes, Skip: onlyMatching, See: func(handler caddyhttp.MiddlewareHandler, proofs []proof) []proof {
			if authenticates(handler) {
				return append(slices.Clone(proofs), proof{})
			}
			if page, ok := handler.(*Handler); ok && !slices.ContainsFunc(proofs, func(p proof) bool { return p.covers(page) }) {
				may := " and may replay and delete them"
				if page.ReadOnly {
					may = ""
				}
				logger.Warn("anyone who reaches webhook_guard_ui sees deliveries"+may+": nothing before it in its route authenticates: "+
					"put basic_auth, forward_auth or client certificates before it", zap.String("server", name), zap.Strings("listen", server.Listen), zap.String("path", page.Path))
			}
			return proofs
		}}
		w.Routes(server.Routes, nil)
	}
}

// proof is an authentication that a request has passed, if it matched each of these.
type proof []caddyhttp.MatcherSets

// onlyMatching adds the route's matchers to what its handlers have found out.
func onlyMatching(route caddyhttp.Route, before, through []proof) []proof {
	behind := slices.Clone(before)
	for _, p := range through[len(before):] {
		behind = append(behind, append(slices.Clone(p), route.MatcherSets))
	}
	return behind
}

// covers reports whether a request for the page has passed the authentication.
func (p proof) covers(page *Handler) bool {
	for _, sets := range p {
		r, err := http.NewRequest(http.MethodGet, page.Path+"/", nil)
		if err != nil {
			return false
		}
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, &caddyhttp.Server{})
		if matched, err := sets.AnyMatchWithError(r); err != nil || !matched {
			return false
		}
	}
	return true
}

// authenticates reports whether only users get past a handler that somebody has let in. What
// goes on behind a proxy does so by its handle_response: that is forward_auth.
func authenticates(handler caddyhttp.MiddlewareHandler) bool {
	switch h := handler.(type) {
	case *caddyauth.Authentication:
		return true
	case *reverseproxy.Handler:
		return len(h.HandleResponse) > 0
	case caddy.Module: // another project's
		return strings.Contains(h.CaddyModule().ID.Name(), "auth")
	}
	return false
}

// asksForCertificates reports whether the server has clients show a certificate that it
// verifies.
func asksForCertificates(server *caddyhttp.Server) bool {
	return slices.ContainsFunc(server.TLSConnPolicies, func(p *caddytls.ConnectionPolicy) bool {
		asks := p.ClientAuthentication
		return asks != nil && asks.Active() && (asks.Mode == "" || asks.Mode == "require_and_verify")
	})
}
