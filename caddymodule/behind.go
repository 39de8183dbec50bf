package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/transport"
)

// warnOfRetries warns where a proxy behind a guard goes on to the next upstream in a way that
// an event may not survive whole, or not once.
func warnOfRetries(ctx caddy.Context, logger *zap.Logger) {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return
	}
	check := func(g *Guard, proxy *reverseproxy.Handler) { checkRetries(g, proxy, logger) }
	for _, server := range app.(*caddyhttp.App).Servers {
		w := walk{named: server.NamedRoutes, proxy: check}
		w.routes(server.Routes, nil)
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

// walk goes through the routes of a server as an event could.
type walk struct {
	named   map[string]*caddyhttp.Route
	proxy   func(*Guard, *reverseproxy.Handler) // called for each proxy behind a guard
	invoked []string
}

// routes returns the guard that the event has passed at the end, after the one before.
func (w *walk) routes(routes caddyhttp.RouteList, passed *Guard) *Guard {
	for _, route := range routes {
		after := w.handlers(route.Handlers, passed)
		if route.Group == "" && !route.Terminal { // or else nothing goes on from here
			passed = after
		}
	}
	return passed
}

func (w *walk) handlers(handlers []caddyhttp.MiddlewareHandler, passed *Guard) *Guard {
	for _, handler := range handlers {
		switch h := handler.(type) {
		case *Guard:
			passed = h
		case *caddyhttp.Subroute:
			passed = w.routes(h.Routes, passed)
		case *caddyhttp.Invoke:
			passed = w.invoke(h.Name, passed)
		case *intercept.Intercept:
			w.responses(h.HandleResponse, passed)
		case *reverseproxy.Handler:
			if passed != nil {
				w.proxy(passed, h)
			}
			w.responses(h.HandleResponse, passed)
		}
	}
	return passed
}

func (w *walk) responses(handlers []caddyhttp.ResponseHandler, passed *Guard) {
	for _, h := range handlers {
		w.routes(h.Routes, passed)
	}
}

// invoke follows a named route, though not into itself.
func (w *walk) invoke(name string, passed *Guard) *Guard {
	route, ok := w.named[name]
	for _, outer := range w.invoked {
		ok = ok && outer != name
	}
	if !ok {
		return passed
	}
	w.invoked = append(w.invoked, name)
	defer func() { w.invoked = w.invoked[:len(w.invoked)-1] }()
	return w.handlers(route.Handlers, passed)
}
