// Package routes goes through the routes of a server, to see what stands before what.
package routes

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// Servers are those of the configuration's HTTP app, by their names; none where it has none.
func Servers(ctx caddy.Context) map[string]*caddyhttp.Server {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return nil
	}
	return app.(*caddyhttp.App).Servers
}

// Walk goes through the routes of a server as a request could. S is what is known of the
// request on its way.
type Walk[S any] struct {
	// Named are the server's named routes.
	Named map[string]*caddyhttp.Route
	// See is called for each handler with what is known before it, and returns what is known
	// behind it. What is known behind a handler that has routes of its own is known where
	// they begin.
	See func(handler caddyhttp.MiddlewareHandler, known S) S
	// Skip returns what is known behind a route that some requests pass by, since they do not
	// match it. through is what the others know.
	Skip func(route caddyhttp.Route, before, through S) S

	invoked []string
}

// Routes returns what is known behind the routes.
func (w *Walk[S]) Routes(routes caddyhttp.RouteList, known S) S {
	for _, route := range routes {
		through := w.handlers(route.Handlers, known)
		switch {
		case route.Group != "" || route.Terminal: // nothing goes on from here
		case len(route.MatcherSets) > 0:
			known = w.Skip(route, known, through)
		default:
			known = through
		}
	}
	return known
}

func (w *Walk[S]) handlers(handlers []caddyhttp.MiddlewareHandler, known S) S {
	for _, handler := range handlers {
		known = w.See(handler, known)
		switch h := handler.(type) {
		case *caddyhttp.Subroute:
			known = w.Routes(h.Routes, known)
		case *caddyhttp.Invoke:
			known = w.invoke(h.Name, known)
		case *intercept.Intercept:
			w.responses(h.HandleResponse, known)
		case *reverseproxy.Handler:
			w.responses(h.HandleResponse, known)
		}
	}
	return known
}

func (w *Walk[S]) responses(handlers []caddyhttp.ResponseHandler, known S) {
	for _, h := range handlers {
		w.Routes(h.Routes, known)
	}
}

// invoke follows a named route, though not into itself.
func (w *Walk[S]) invoke(name string, known S) S {
	route, ok := w.Named[name]
	if !ok || slices.Contains(w.invoked, name) {
		return known
	}
	w.invoked = append(w.invoked, name)
	defer func() { w.invoked = w.invoked[:len(w.invoked)-1] }()
	return w.handlers(route.Handlers, known)
}
