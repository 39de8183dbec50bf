package caddymodule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// warnOfLogs warns where Caddy's own logs would show a secret that requests carry. They
// copy the request before any handler runs, so the guard cannot remove it from them.
func (g *Guard) warnOfLogs(carried string, source signature.Source) {
	g.logger.Warn(carried+" where Caddy's access and error logs show it: filter it in the `log` of the site and in the global one",
		zap.String("provider", g.ProviderName), zap.String("filter", logFilter(source)))
}

// warnOfToken warns where the logs would show the token.
func (g *Guard) warnOfToken() {
	if token := g.sender.Rules.Token; token != nil && token.Logged() {
		g.warnOfLogs("the token travels", token.Source)
	}
}

// warnOfBorders warns of places in what is signed that nothing fixes, where the user wrote
// the template. The catalogue's entries say so themselves.
func warnOfBorders(g *Guard, written bool) {
	open := signature.OpenBorders(g.sender.Rules.Scheme)
	if !written || len(open) == 0 {
		return
	}
	g.logger.Warn("signed: nothing says where one value ends and the next begins, so that characters can be moved between them under the same signature, and neither is trusted: "+
		"put a fixed text that they do not hold between them, or write {body|json} where the body is JSON",
		zap.String("provider", g.ProviderName), zap.Strings("between", open))
}

// warnOfBareTokens warns of tokens that say nothing of the body, where the user wrote the
// claims, or left them out.
func warnOfBareTokens(g *Guard, written bool) {
	scheme := g.sender.Rules.Scheme
	if written && scheme.Spec().Named == "jwt" && !scheme.CoversBody() {
		g.logger.Warn("claim: no claim that has to be there is a digest of the body, so whoever has a token of the sender can send any body with it: "+
			"write claim <name> {body|sha256|hex}, if the sender's tokens have one", zap.String("provider", g.ProviderName))
	}
}

// logFilter is the line of a log's filter that hides a header or a query's key.
func logFilter(source signature.Source) string {
	if source.Kind == signature.SourceQuery {
		return "request>uri query { replace " + source.Name + " REDACTED }"
	}
	return "request>headers>" + source.Name + " delete"
}

// checkHeaderNames refuses headers that the guard would never see: those in its own name,
// which it removes first, and those that the server drops: with an underscore or a dot, unless
// it lists them, or with a hyphen in the place of one that it lists.
func checkHeaderNames(read []string, server *caddyhttp.Server) error {
	var dots, underscores []string
	if server != nil {
		dots, underscores = server.ExpectedDotHeaders, server.ExpectedUnderscoreHeaders
	}
	for _, name := range read {
		if isOwnHeader(name) {
			return fmt.Errorf("header %s: headers in the guard's own name are removed from each request before anything is read: let the sender use another one", name)
		}
		dot, underscore := strings.Contains(name, "."), strings.Contains(name, "_")
		var kept bool
		option := "expected_dot_headers"
		switch {
		case dot && underscore: // kept only under its exact spelling, in either list
			kept = listed(dots, name, false) || listed(underscores, name, false)
		case dot:
			kept = listed(dots, name, true)
		case underscore:
			kept, option = listed(underscores, name, true), "expected_underscore_headers"
		default:
			if entry := replacing(slices.Concat(dots, underscores), name); entry != "" {
				return fmt.Errorf("header %s: Caddy drops it before any handler sees it, as the server expects %s in its place: leave that out of expected_underscore_headers and expected_dot_headers, or name the header as it is sent", name, entry)
			}
			continue
		}
		if !kept {
			return fmt.Errorf("header %s: Caddy drops headers with such names before any handler sees them: add `servers { %s %s }` to the global options", name, option, name)
		}
	}
	return nil
}

// replacing is the entry of the server's lists that has it drop a name with hyphens.
func replacing(allowed []string, name string) string {
	hyphens := strings.NewReplacer("_", "-", ".", "-")
	for _, entry := range allowed {
		if listed([]string{hyphens.Replace(entry)}, name, true) {
			return entry
		}
	}
	return ""
}

func listed(allowed []string, name string, globs bool) bool {
	return slices.ContainsFunc(allowed, func(entry string) bool {
		prefix, glob := strings.CutSuffix(entry, "*")
		if glob {
			return globs && len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
		}
		return strings.EqualFold(entry, name)
	})
}
