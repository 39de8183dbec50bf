package origin

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	mapper "github.com/caddyserver/caddy/v2/modules/caddyhttp/map"
)

// Routes are the lists of routes that lead to the handler which is being provisioned, the
// server's first.
func Routes(ctx caddy.Context) []caddyhttp.RouteList {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server == nil {
		return nil
	}
	lists := []caddyhttp.RouteList{server.Routes}
	for _, module := range ctx.Modules() {
		if sub, ok := module.(*caddyhttp.Subroute); ok {
			lists = append(lists, sub.Routes)
		}
	}
	return lists
}

// Loading is the index of the route that is being loaded, -1 where there is none. Routes
// are loaded in their order, and their raw handlers are dropped then: the first that has
// some is the one.
func Loading(routes caddyhttp.RouteList) int {
	return slices.IndexFunc(routes, func(r caddyhttp.Route) bool { return r.HandlersRaw != nil })
}

// Before finds what is set before the handler that is being provisioned, and beside it.
func Before(ctx caddy.Context) Outputs {
	o := make(Outputs)
	lists := Routes(ctx)
	for depth, routes := range lists {
		loading := Loading(routes)
		for i, route := range routes {
			if loading >= 0 && i > loading {
				break
			}
			if i < loading && (route.Terminal || route.Group != "" && route.Group == routes[loading].Group) {
				continue // a request that takes it does not come here
			}
			for _, handler := range route.Handlers {
				o.addHandler(handler)
			}
			for _, raw := range route.HandlersRaw {
				if depth == len(lists)-1 || !leadsToGuard(raw) {
					o.addRaw(raw)
				}
			}
		}
	}
	return o
}

// leadsToGuard reports whether a handler is, or may be, one that the next list of routes is
// in. What is in that is looked at there.
func leadsToGuard(raw json.RawMessage) bool {
	return bytes.Contains(raw, []byte(`"subroute"`)) && bytes.Contains(raw, []byte(`"webhook_guard"`))
}

func (o Outputs) addHandler(handler caddyhttp.MiddlewareHandler) {
	switch h := handler.(type) {
	case *mapper.Handler:
		o.addMap(h)
	case *caddyhttp.VarsMiddleware:
		o.addVars(*h)
	case *caddyhttp.Subroute:
		for _, route := range h.Routes {
			for _, inner := range route.Handlers {
				o.addHandler(inner)
			}
		}
	}
}

// addRaw is addHandler for one that is not loaded yet. What cannot be read is refused
// when it is loaded.
func (o Outputs) addRaw(raw json.RawMessage) {
	var handler struct {
		Handler string
		Routes  []struct{ Handle []json.RawMessage }
	}
	if json.Unmarshal(raw, &handler) != nil {
		return
	}
	switch handler.Handler {
	case "map":
		var m mapper.Handler
		if json.Unmarshal(raw, &m) == nil {
			o.addMap(&m)
		}
	case "vars":
		var vars caddyhttp.VarsMiddleware
		if json.Unmarshal(raw, &vars) == nil {
			delete(vars, "handler")
			o.addVars(vars)
		}
	case "subroute":
		for _, route := range handler.Routes {
			for _, inner := range route.Handle {
				o.addRaw(inner)
			}
		}
	}
}
