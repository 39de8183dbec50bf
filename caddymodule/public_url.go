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

// varyingURL is a public_url with placeholders that only a request resolves. It is empty
// where the URL is the same for every request.
type varyingURL string

// resolvePublicURL resolves the placeholders of public_url in the sender's rules, unless
// one of them is known in requests only.
func resolvePublicURL(line string, rules *config.Resolved) (varyingURL, error) {
	if !strings.Contains(line, "{") {
		return "", nil
	}
	if variesByRequest(line) {
		return varyingURL(line), nil
	}
	text, err := placeholder.Resolve(line)
	if err != nil {
		return "", fmt.Errorf("public_url: %w", err)
	}
	rules.PublicURL, err = config.ParsePublicURL(text)
	return "", err
}

// put gives a request the URL that is registered with the sender.
func (u varyingURL) put(facts *signature.Request, repl *caddy.Replacer) *webhook.Refusal {
	if u == "" {
		return nil
	}
	text, err := repl.ReplaceOrErr(string(u), true, true)
	if err != nil {
		return webhook.Refuse(webhook.Misconfigured,
			"public_url has no value for this request: %w: give its map a default, or guard only what it knows", err)
	}
	public, err := config.ParsePublicURL(text)
	if err != nil {
		return webhook.Refuse(webhook.Misconfigured, "for this request, %w", err)
	}
	*facts = webhook.AtPublicURL(*facts, public)
	return nil
}

// variesByRequest reports whether a line has placeholders that nothing resolves before
// there is a request.
func variesByRequest(line string) bool {
	_, err := caddy.NewReplacer().ReplaceOrErr(line, false, true)
	return err != nil
}
