package caddymodule

import (
	"errors"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/lines"
	"github.com/webhookguard/caddy-webhook-guard/config"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("webhook_guard", parseDirective)
	// Before every rewrite; signed URLs are taken from the original request all
	// the same, since a route may have its own order.
	httpcaddyfile.RegisterDirectiveOrder("webhook_guard", httpcaddyfile.Before, "redir")
	httpcaddyfile.RegisterGlobalOption("webhook_guard", parseGlobalOption)
}

func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	guard := new(Guard)
	if err := guard.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return guard, guard.parsed.Finish(h)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens:
//
//	webhook_guard [<matcher>] <provider> {
//		secret         <value> [until <RFC 3339>] | <value> per_request
//		public_key     <value> [until <RFC 3339>]
//		keys_secret    <value> [<value>]
//		insecure_unsigned
//		scope          <name>
//		on_store_error reject|forward
//		inbox          [<name>] { … }
//		…
//	}
//
// and every line that a provider has; see docs/caddyfile.md.
func (g *Guard) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if !d.AllArgs(&g.ProviderName) {
		return d.Errf("name one provider: webhook_guard <provider> { … }")
	}
	return lines.Each(d, func(name string) error {
		switch name {
		case "secret":
			return parseSecret(d, &g.Secret)
		case "public_key":
			return parseSecret(d, &g.PublicKey)
		case "keys_secret":
			return parseKeysSecret(d, &g.KeysSecret)
		case "insecure_unsigned":
			g.InsecureUnsigned = true
			return lines.End(d)
		case "scope":
			return lines.Word(d, &g.Scope)
		case "on_store_error":
			return lines.Word(d, &g.OnStoreError)
		case "inbox":
			var err error
			if g.parsed, err = inboxes.Parse(d); err == nil {
				g.Inbox = g.parsed.Config
			}
			return err
		case "resign":
			return lines.Word(d, &g.Resign)
		case "mode":
			return lines.Word(d, &g.Mode)
		}
		return parseLine(d, &g.Provider)
	}, "secret", "public_key")
}

// parseSecret reads a secret or public_key line. Its errors never hold the value.
func parseSecret(d *caddyfile.Dispenser, into *[]Secret) error {
	name := d.Val()
	args := d.RemainingArgs()
	secret := Secret{}
	switch {
	case len(args) == 1:
	case len(args) == 2 && args[1] == "per_request" && name == "secret":
		secret.PerRequest = true
	case len(args) == 3 && args[1] == "until":
		until, err := time.Parse(time.RFC3339, args[2])
		if err != nil {
			return d.Errf("%s: until takes a time such as 2026-12-31T00:00:00Z", name)
		}
		secret.Until = &until
	case name == "secret":
		return d.Errf("secret: write secret <value>, secret <value> until <time> or secret <value> per_request, and quote a value that holds spaces")
	default:
		return d.Errf("%s: write %s <value> or %s <value> until <time>, and quote a value that holds spaces", name, name, name)
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("%s: takes no block", name)
	}
	secret.Value = args[0]
	*into = append(*into, secret)
	return nil
}

// parseKeysSecret reads a keys_secret line. Its errors never hold a value.
func parseKeysSecret(d *caddyfile.Dispenser, into *[]string) error {
	if *into = d.RemainingArgs(); len(*into) == 0 {
		return d.Errf("keys_secret: needs a value: write keys_secret <value> [<value>], and quote a value that holds spaces")
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("keys_secret: takes no block")
	}
	return nil
}

// guardLines are those of a guard that a provider does not have.
var guardLines = []string{"secret", "public_key", "keys_secret", "scope", "insecure_unsigned", "on_store_error", "inbox", "resign", "mode"}

func parseLine(d *caddyfile.Dispenser, provider *config.Provider) error {
	name := d.Val()
	err := provider.ParseLine(d)
	if errors.Is(err, config.ErrUnknownLine) {
		return d.Errf("unknown line %q%s", name, config.SimilarLines(name, guardLines...))
	}
	return err
}

// parseGlobalOption sets up the app from the Caddyfile's global options:
//
//	webhook_guard {
//		store        disk|memory|redis …
//		max_buffered <size>
//		provider <name> {
//			…
//		}
//	}
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Errf("the webhook_guard option is set twice: put everything into one block")
	}
	app := new(App)
	if err := app.unmarshal(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: appID, Value: caddyconfig.JSON(app, nil)}, nil
}

func (a *App) unmarshal(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return lines.Each(d, func(name string) error {
		switch name {
		case "store":
			return a.parseStore(d)
		case "provider":
			return a.parseProvider(d)
		case "max_buffered":
			var word string
			if err := lines.Word(d, &word); err != nil {
				return err
			}
			size, err := config.ParseSize(word)
			if err != nil {
				return d.Errf("max_buffered: %v", err)
			}
			a.MaxBuffered = size
			return nil
		}
		return d.Errf("unknown line %q: there are store, provider and max_buffered", name)
	}, "provider")
}

func (a *App) parseStore(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Errf("name the store: store disk, store memory, or store redis <url>")
	}
	kind := d.Val()
	module, err := caddyfile.UnmarshalModule(d, "webhook_guard.stores."+kind)
	if err != nil {
		return err
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(module, "kind", kind, nil)
	return nil
}

func (a *App) parseProvider(d *caddyfile.Dispenser) error {
	var name string
	if err := lines.Word(d, &name); err != nil {
		return err
	}
	if _, twice := a.Providers[name]; twice {
		return d.Errf("provider %s is described twice", name)
	}
	var provider config.Provider
	err := lines.Each(d, func(line string) error {
		if slices.Contains(guardLines, line) {
			return d.Errf("%s says whose the events are: it belongs into the webhook_guard block that uses the provider", line)
		}
		return parseLine(d, &provider)
	})
	if err != nil {
		return err
	}
	if a.Providers == nil {
		a.Providers = make(map[string]config.Provider)
	}
	a.Providers[name] = provider
	return nil
}

var _ caddyfile.Unmarshaler = (*Guard)(nil)
