package ui

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/lines"
)

func init() {
	httpcaddyfile.RegisterDirective("webhook_guard_ui", parseDirective)
	// After whatever authenticates or refuses: abort, error and respond too.
	httpcaddyfile.RegisterDirectiveOrder("webhook_guard_ui", httpcaddyfile.Before, "reverse_proxy")
}

// parseDirective makes the route. A path is where the page stands, so it takes the requests
// for all paths below; any other matcher is one.
func parseDirective(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	page := new(Handler)
	if err := page.UnmarshalCaddyfile(h.NewFromNextSegment()); err != nil {
		return nil, err
	}
	if page.Path != "" {
		return h.NewRoute(caddy.ModuleMap{"path": h.JSON(caddyhttp.MatchPath{page.Path, page.Path + "/*"})}, page), nil
	}
	h.Reset()
	h.Next()
	matchers, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	return h.NewRoute(matchers, page), nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens:
//
//	webhook_guard_ui [<path>] {
//		read_only
//		user   <placeholder>
//		banner <text>
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		if first := d.Val(); strings.HasPrefix(first, "/") {
			h.Path = strings.TrimRight(strings.TrimSuffix(first, "*"), "/")
		} else if first != "*" && !strings.HasPrefix(first, "@") {
			return d.Errf("%q is no path: write webhook_guard_ui /webhooks, or leave it out", first)
		}
		if d.NextArg() {
			return d.ArgErr()
		}
	}
	return lines.Each(d, func(name string) error {
		switch name {
		case "read_only":
			h.ReadOnly = true
			return lines.End(d)
		case "user":
			return lines.Word(d, &h.User)
		case "banner":
			return lines.Word(d, &h.Banner)
		}
		return d.Errf("unknown line %q: there are read_only, user and banner", name)
	})
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
