package caddymodule

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// scopeLine is the namespace of a guard's event IDs, as it is configured.
type scopeLine struct {
	line string // the provider's name where there is none
	text placeholder.Text
}

func newScopeLine(line, provider string) scopeLine {
	return scopeLine{cmp.Or(line, provider), placeholder.Parse(line)}
}

// resolve returns the scope of one request's event.
func (s *scopeLine) resolve(repl *caddy.Replacer) (string, *webhook.Refusal) {
	if !s.text.Varies() {
		return s.line, nil
	}
	scope, err := s.text.Fill(func(name string) (any, bool) {
		value, known := repl.Get(name)
		if hostName(name) {
			// One host has many spellings, and one event must have one scope.
			value = strings.TrimSuffix(strings.ToLower(caddy.ToString(value)), ".")
		}
		return value, known
	})
	if err != nil || scope == "" {
		return s.line, webhook.Refuse(webhook.Misconfigured,
			"the scope %s has no value for this request: give its map a default, or guard only what it knows", s.line)
	}
	return scope, nil
}

// checkChoice refuses a scope that the sender chooses. Beside a secret that stays the
// same, whoever has captured one event could replay it into as many scopes as there are.
func (s *scopeLine) checkChoice() error {
	for _, name := range s.text.Names() {
		if chosenBySender(name) {
			return fmt.Errorf("scope: {%s} is chosen by the sender, while the secret stays the same: one captured event could be replayed into any number of scopes: use {http.request.host} or the output of a map that knows the tenants, or a secret of each tenant's own, secret <value> per_request", name)
		}
	}
	return nil
}

// hostName reports whether a placeholder holds the request's host, or labels of it.
func hostName(name string) bool {
	return name == "http.request.host" || strings.HasPrefix(name, "http.request.host.labels.")
}

// chosenBySender reports whether a placeholder holds what the sender of a request, or
// whoever replays one, can write as they like. The host decides which site gets it.
func chosenBySender(name string) bool {
	for _, ours := range []string{"http.request.tls.", "http.request.local."} {
		if strings.HasPrefix(name, ours) {
			return false
		}
	}
	return !hostName(name) && (strings.HasPrefix(name, "http.request.") || strings.HasPrefix(name, "http.regexp."))
}

// fingerprint digests what must not differ between guards that share a scope: the
// provider, the secrets, what is signed, and what the ID is.
func (g *Guard) fingerprint() [sha256.Size]byte {
	var values []string
	for _, s := range slices.Concat(g.Secret, g.PublicKey) {
		// Resolved, because two placeholders may hold one secret; but not what is in
		// files, which may change.
		text := s.Value
		if !s.PerRequest {
			text, _ = placeholder.Parse(text).WithoutFiles()
		}
		values = append(values, text)
	}
	slices.Sort(values)                                                                                       // their order means nothing
	encoded, _ := json.Marshal([]any{g.ProviderName, values, g.Token, g.Signature, g.Signed, g.Scheme, g.ID}) // strings only: cannot fail
	return sha256.Sum256(encoded)
}
