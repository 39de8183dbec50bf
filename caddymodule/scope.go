package caddymodule

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/origin"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/signature"
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

// varies reports whether requests have different scopes.
func (s *scopeLine) varies() bool {
	return slices.ContainsFunc(s.text.Names(), func(name string) bool { return !loadTime(name) })
}

// loaded is the line with what is known when the configuration loads filled in: two lines
// may be one scope.
func (s *scopeLine) loaded() string {
	if s.varies() {
		return s.line
	}
	if text, err := s.text.Fill(caddy.NewReplacer().Get); err == nil && text != "" {
		return text
	}
	return s.line
}

// resolve returns the scope of one request's event.
func (s *scopeLine) resolve(repl *caddy.Replacer) (string, *webhook.Refusal) {
	if !s.text.Varies() {
		return s.line, nil
	}
	defer canonicalHost(repl)()
	scope, err := s.text.Fill(repl.Get)
	if err != nil || scope == "" || s.sharedByAll(repl) {
		return s.line, webhook.Refuse(webhook.Misconfigured,
			"the scope %s has no value for this request: give its map a default, or guard only what it knows", s.line)
	}
	return scope, nil
}

// sharedByAll reports whether no placeholder tells this request from others: what is left of
// the line, such as the text before a tenant's name, would be the scope of all of these.
func (s *scopeLine) sharedByAll(repl *caddy.Replacer) bool {
	for _, name := range s.text.Names() {
		if value, _ := repl.GetString(name); value != "" && !loadTime(name) {
			return false
		}
	}
	return s.varies()
}

// canonicalName is the one spelling of a host.
func canonicalName(host string) string {
	host = strings.TrimRight(strings.Map(signature.FoldCase, host), ".")
	if inner, ok := strings.CutPrefix(host, "["); ok { // as it is where a port follows
		host = strings.TrimSuffix(inner, "]")
	}
	return host
}

// warnOfHosts warns of hosts that a map of the tenants knows and no request has, as they are
// looked up in one spelling.
func warnOfHosts(g *Guard) {
	texts := append(slices.Clone(g.secrets.perRequest), g.scope.text)
	var never []string
	for _, text := range texts {
		for _, name := range text.Names() {
			for _, host := range origin.Hosts(g.before, name) {
				if host != canonicalName(host) {
					never = append(never, host)
				}
			}
		}
	}
	if len(never) > 0 {
		slices.Sort(never)
		g.logger.Warn("a map knows hosts that no request has, so that these tenants are refused: write them in lower case, without a dot at the end",
			zap.Strings("hosts", slices.Compact(never)), zap.String("provider", g.ProviderName), zap.String("scope", g.scope.line))
	}
}

// canonicalHost makes placeholders hold the request's host in one spelling, until restore
// is called: one host has many, as a matcher of hosts folds case, while one event has one
// scope and one tenant. Whatever is made of the host, such as the output of a map, follows.
func canonicalHost(repl *caddy.Replacer) (restore func()) {
	sent, _ := repl.GetString(origin.Host)
	host := canonicalName(sent)
	if host == sent {
		return func() {}
	}
	labels := strings.Split(host, ".")
	set := []string{origin.Host}
	repl.Set(origin.Host, host)
	for i := range strings.Count(sent, ".") + 1 { // all that the host as sent has
		name, label := origin.LabelPrefix+strconv.Itoa(i), ""
		if i < len(labels) {
			label = labels[len(labels)-1-i]
		}
		repl.Set(name, label)
		set = append(set, name)
	}
	return func() {
		for _, name := range set {
			repl.Delete(name)
		}
	}
}

// checkChoice refuses a scope that the sender chooses. Beside a secret that stays the
// same, whoever has captured one event could replay it into as many scopes as there are.
func (s *scopeLine) checkChoice(from origin.Outputs) error {
	for _, name := range s.text.Names() {
		for _, root := range from.Roots(name) {
			if !chosenBySender(root) && !from.Set(root) { // set, it keeps the host as it was sent
				continue
			}
			what := "{" + name + "}"
			if root != name {
				what += ", which is made of {" + root + "},"
			}
			return fmt.Errorf("scope: %s is chosen by the sender, while the secret stays the same: one captured event could be replayed into any number of scopes: use {http.request.host} or the output of a map of it that knows the tenants, or a secret of each tenant's own, secret <value> per_request", what)
		}
	}
	return nil
}

// checkTenants refuses a scope that the sender chooses apart from the secret: whoever has
// captured an event of one tenant could replay it into the scopes of all.
func (s *scopeLine) checkTenants(secrets []placeholder.Text, from origin.Outputs) error {
	for _, secret := range secrets {
		var known []string
		many := false // scopes may have this secret
		for _, name := range secret.Names() {
			if !from.Set(name) && !loadTime(name) {
				return nil // nobody sees what it is made of
			}
			known = append(known, from.Roots(name)...)
			many = many || from.Many(name)
		}
		for _, name := range s.text.Names() {
			for _, root := range from.Roots(name) {
				if chosenBySender(root) && !slices.Contains(known, root) {
					return fmt.Errorf("scope: {%s} is chosen by the sender, and the secret does not depend on it: one captured event could be replayed into any number of scopes: let one map know scope and secret of each tenant", root)
				}
			}
			for _, root := range from.ValueRoots(name) {
				if many && chosenBySender(root) {
					return fmt.Errorf("scope: {%s} is chosen by the sender, and the default or a regular expression of a map gives all of its values one secret: one captured event could be replayed into any number of scopes: let the map give these one scope too", root)
				}
			}
		}
	}
	return nil
}

// checkNames refuses two names that a sender chooses between, where the maps give both one
// secret and each its own scope: whoever has captured an event of the one could replay it
// under the other.
func (s *scopeLine) checkNames(secrets []Secret, from origin.Outputs) error {
	var texts []string
	for _, secret := range secrets {
		texts = append(texts, secret.Value)
	}
	if a, b, found := from.Shared(texts, s.line, chosenBySender); found {
		return fmt.Errorf("scope: the sender chooses between %q and %q, which have one secret and two scopes: one captured event could be replayed from the one into the other: give each a secret of its own, or both the same scope", a, b)
	}
	return nil
}

// holdsHost reports whether requests to other hosts have other scopes.
func (s *scopeLine) holdsHost(from origin.Outputs) bool {
	return slices.ContainsFunc(s.text.Names(), func(name string) bool { return slices.ContainsFunc(from.Roots(name), origin.IsHost) })
}

// loadTime reports whether a placeholder is the same in every request.
func loadTime(name string) bool {
	return slices.ContainsFunc([]string{"env.", "file.", "system."}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// chosenBySender reports whether a placeholder holds what the sender of a request, or
// whoever replays one, can choose: what they send, where they send it from, to which
// address, by which protocol, and when. The host is none of it. It decides which site gets
// the request.
func chosenBySender(name string) bool {
	if origin.IsHost(name) {
		return false
	}
	return name == "http.vars.client_ip" || slices.ContainsFunc(
		[]string{"http.request.", "http.regexp.", "http.matchers.", "http.webhook_guard.", "time."},
		func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// fingerprint digests what must not differ between guards that share a scope: the
// provider, the secrets, what is signed, and what the ID is.
func (g *Guard) fingerprint() [sha256.Size]byte {
	var values, definitions []string
	for _, s := range slices.Concat(g.Secret, g.PublicKey) {
		// Resolved, because two placeholders may hold one secret; but not what is in
		// files, which may change.
		text := s.Value
		if !s.PerRequest {
			text, _ = placeholder.Parse(text).WithoutFiles()
		} else {
			for _, name := range placeholder.Parse(text).Names() {
				definitions = append(definitions, g.before.Definition(name)...)
			}
		}
		values = append(values, text)
	}
	slices.Sort(values) // their order means nothing, and neither does one that is there twice
	values = slices.Compact(values)
	encoded, _ := json.Marshal([]any{ // strings only: cannot fail
		g.ProviderName, values, definitions, g.SecretEncoding, g.SecretPrefix, g.Token, g.Signature, g.Signed, g.SignedFunctions, g.Items, g.Scheme, g.Claim, g.ID, g.OrID, g.Keys, g.KeyID,
	})
	return sha256.Sum256(encoded)
}
