package caddymodule

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// resolvePublicURL resolves the placeholders of public_url. Where one of them is known in
// requests only, signedURL does.
func (g *Guard) resolvePublicURL() error {
	if !strings.Contains(g.PublicURL, "{") {
		return nil
	}
	_, err := caddy.NewReplacer().ReplaceOrErr(g.PublicURL, false, true)
	if g.publicURLVaries = err != nil; g.publicURLVaries {
		return nil
	}
	text, err := placeholder.Resolve(g.PublicURL)
	if err != nil {
		return fmt.Errorf("public_url: %w", err)
	}
	g.sender.Rules.PublicURL, err = config.ParsePublicURL(text)
	return err
}

// signedURL gives a request the URL that is registered with the sender, where that
// depends on the request.
func (g *Guard) signedURL(facts signature.Request, repl *caddy.Replacer) (signature.Request, *webhook.Refusal) {
	if !g.publicURLVaries {
		return facts, nil
	}
	text, err := repl.ReplaceOrErr(g.PublicURL, true, true)
	if err != nil {
		return facts, webhook.Refuse(webhook.Misconfigured,
			"public_url has no value for this request: %w: give its map a default, or guard only what it knows", err)
	}
	public, err := config.ParsePublicURL(text)
	if err != nil {
		return facts, webhook.Refuse(webhook.Misconfigured, "for this request, %w", err)
	}
	return webhook.AtPublicURL(facts, public), nil
}
