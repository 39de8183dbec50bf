package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/routes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/transport"
)

// warnOfRetries warns where a proxy behind a guard goes on to the next upstream in a way that
// an event may not survive whole, or not once.
func warnOfRetries(ctx caddy.Context, logger *zap.Logger) {
	var walk routes.Walk[*Guard]
	look := func(handler caddyhttp.MiddlewareHandler, passed *Guard) *Guard {
		switch h := handler.(type) {
		case *Guard:
			if h.inbox != nil {
				walk.Routes(h.inbox.Deliver, h)
				return nil // no event goes on from here
			}
			return h
		case *reverseproxy.Handler:
			if passed != nil {
				checkRetries(passed, h, logger)
			}
		}
		return passed
	}
	for _, server := range routes.Servers(ctx) {
		walk = routes.Walk[*Guard]{Named: server.NamedRoutes, See: look, Skip: func(_ caddyhttp.Route, _, through *Guard) *Guard { return through }}
		walk.Routes(server.Routes, nil)
	}
}

func checkRetries(g *Guard, proxy *reverseproxy.Handler, logger *zap.Logger) {
	if lb := proxy.LoadBalancing; lb == nil || lb.Retries == 0 && lb.TryDuration == 0 {
		return
	}
	if _, own := proxy.Transport.(*transport.Transport); own {
		return
	}
	if most := g.sender.Rules.MaxBody; proxy.RequestBuffers < 0 || proxy.RequestBuffers >= most {
		return // every try reads the body anew, and the whole of it
	}
	var upstreams []string
	for _, upstream := range proxy.Upstreams {
		upstreams = append(upstreams, upstream.Dial)
	}
	logger.Warn("the reverse_proxy behind webhook_guard tries again when a try has failed, and its transport cannot give each try the whole event: "+
		"add `transport webhook` to it or, for another transport, `request_buffers "+strconv.FormatInt(g.sender.Rules.MaxBody, 10)+"`",
		zap.String("provider", g.ProviderName), zap.String("scope", g.Scope), zap.Strings("upstreams", upstreams))
}

// warnOfUnreached warns of handlers behind a guard whose inbox takes every request. Caddy's
// order of directives puts some there that a user counts on, such as basic_auth and rewrite.
func warnOfUnreached(ctx caddy.Context, logger *zap.Logger) {
	look := func(handler caddyhttp.MiddlewareHandler, passed *Guard) *Guard {
		switch h := handler.(type) {
		case *caddyhttp.Subroute, *caddyhttp.Invoke:
			return passed // what is in it is looked at
		case caddyhttp.StaticError, *caddyhttp.StaticError:
			return passed // nothing is to come there
		case *Guard:
			if passed == nil && h.inbox != nil {
				return h
			}
		}
		if passed == nil {
			return nil
		}
		name := ""
		if module, ok := handler.(caddy.Module); ok {
			name = string(module.CaddyModule().ID)
		}
		logger.Warn("a handler behind webhook_guard never runs, as the guard's inbox answers in its place: "+
			"move it into the deliver block or, in a `route` block, before the guard",
			zap.String("handler", name), zap.String("provider", passed.ProviderName), zap.String("scope", passed.scope.line))
		return passed
	}
	for _, server := range routes.Servers(ctx) {
		walk := routes.Walk[*Guard]{Named: server.NamedRoutes, See: look, Skip: func(_ caddyhttp.Route, before, _ *Guard) *Guard { return before }}
		walk.Routes(server.Routes, nil)
	}
}
