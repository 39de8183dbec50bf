package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// newSecrets makes the secrets of a line's resolved text: one, or each of a list. An
// error never holds the text.
func (g *Guard) newSecrets(text string, until time.Time) ([]signature.Secret, error) {
	if text == "" {
		return nil, errors.New("it is empty")
	}
	if err := placeholder.Slip(text); err != nil {
		return nil, err
	}
	keys, err := g.sender.NewKeys(text)
	if err != nil {
		return nil, err
	}
	made := make([]signature.Secret, len(keys))
	for i, key := range keys {
		made[i] = signature.Secret{Key: key, Until: until}
	}
	return made, nil
}

// resolveSecrets makes the fixed secrets. It checks the others as far as possible
// without a request.
func (g *Guard) resolveSecrets() error {
	if err := g.checkAuthentication(); err != nil {
		return err
	}
	line, secrets := g.secretLines()
	past := 0
	for i, secret := range secrets {
		name := fmt.Sprintf("%s %d", line, i+1)
		over, err := g.resolve(name, secret)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if over {
			past++
		}
	}
	if past > 0 && past == len(secrets) {
		return fmt.Errorf("%s: every %s is past its until: add the one in force", line, strings.ReplaceAll(line, "_", " "))
	}
	return nil
}

// secretLines are the lines that authenticate the provider, and their name.
func (g *Guard) secretLines() (string, []Secret) {
	if g.sender.Rules.Scheme.Asymmetric() {
		return "public_key", g.PublicKey
	}
	return "secret", g.Secret
}

// resolve adds one secret and reports whether it is past its end.
func (g *Guard) resolve(name string, secret Secret) (past bool, err error) {
	if err := placeholder.ConfiguredSlip(secret.Value); err != nil {
		return false, err
	}
	if secret.PerRequest {
		return false, g.addPerRequest(secret)
	}
	text, err := placeholder.Load(secret.Value)
	if err != nil {
		return false, err
	}
	var until time.Time
	if secret.Until != nil {
		until = *secret.Until
		past = !g.now().Before(until)
	}
	set := g.fixed.add()
	return past, g.follow(name, text, func(value string) error {
		made, err := g.newSecrets(value, until)
		if err != nil {
			return err
		}
		g.warnOfSecret(name, value, made)
		set(made)
		return nil
	})
}

// shortSecret is the length, in bytes, under which a secret can be guessed by trying.
const shortSecret = 16

// warnOfSecret logs what looks wrong with a secret that is accepted.
func (g *Guard) warnOfSecret(name, text string, made []signature.Secret) {
	warn := func(message string) {
		g.logger.Warn(message, zap.String("provider", g.ProviderName), zap.String("scope", g.scope()), zap.String("line", name))
	}
	if g.sender.Rules.Scheme.Asymmetric() {
		return // its text is read as a whole, and is no secret
	}
	if trimmed := strings.TrimSpace(text); trimmed != text {
		warn("the secret has white space at its ends: is that a part of it?")
	} else if n := len(text); n > 1 && text[0] == text[n-1] && strings.ContainsRune("\"'`", rune(text[0])) {
		warn("the secret has quotes around it: are they a part of it?")
	}
	if slices.ContainsFunc(made, func(s signature.Secret) bool { return s.Key.Size() < shortSecret }) {
		warn(fmt.Sprintf("the secret is shorter than %d bytes, and a short one can be guessed: let the sender make a longer one", shortSecret))
	}
}

// checkAuthentication refuses a guard that would accept requests from anybody.
func (g *Guard) checkAuthentication() error {
	switch {
	case g.Unsigned() && g.InsecureUnsigned:
		if len(g.Secret)+len(g.PublicKey) > 0 {
			return errors.New("secret: nothing is compared with it: name where it is sent, token <source>, or leave it out")
		}
		return nil
	case g.Unsigned():
		return errors.New("the provider does not sign: put a secret token into the URL registered with it and say `token query <key>`, or take anybody's requests with insecure_unsigned")
	case g.InsecureUnsigned:
		return errors.New("insecure_unsigned: the provider is authenticated, so leave the line out")
	}
	return g.checkSecretLines()
}

// checkSecretLines verifies that there are keys, of the kind that the provider signs
// with.
func (g *Guard) checkSecretLines() error {
	asymmetric := g.sender.Rules.Scheme.Asymmetric()
	switch {
	case asymmetric && len(g.Secret) > 0:
		return errors.New("secret: the provider signs with a private key of its own: give its public key instead, public_key <value>")
	case asymmetric && len(g.PublicKey) == 0:
		return errors.New("public_key: none is set: add public_key {env.NAME}, or public_key {file./path/to/key.pem}")
	case !asymmetric && len(g.PublicKey) > 0:
		return errors.New("public_key: the provider authenticates with a shared secret: say secret <value>")
	case !asymmetric && len(g.Secret) == 0:
		return errors.New("secret: none is set: add secret {env.NAME}")
	}
	for _, key := range g.PublicKey {
		if key.PerRequest {
			return errors.New("public_key: per_request is for secrets")
		}
	}
	return nil
}

// senderChosen are the placeholders that hold what the sender sent.
var senderChosen = []string{"http.request.", "http.regexp."}

// addPerRequest keeps a secret whose placeholders are resolved for each request.
func (g *Guard) addPerRequest(secret Secret) error {
	text := placeholder.Parse(secret.Value)
	if !text.Varies() {
		return errors.New("per_request without a placeholder: leave the word out")
	}
	for _, prefix := range senderChosen {
		if slices.ContainsFunc(text.Names(), func(name string) bool { return strings.HasPrefix(name, prefix) }) {
			return fmt.Errorf("{%s…} is chosen by the sender, who must not choose the key: use the output of a map", prefix)
		}
	}
	if secret.Until != nil {
		return errors.New("per_request and until do not go together: let the map end the old secret")
	}
	if !g.scopeText.Varies() {
		return errors.New("per_request needs a scope with a placeholder, such as scope {tenant}: tenants that share one could use up each other's event IDs")
	}
	g.perRequest = append(g.perRequest, text)
	return nil
}

// secretsFor returns the secrets that may match one request.
func (g *Guard) secretsFor(repl *caddy.Replacer) ([]signature.Secret, *webhook.Refusal) {
	fixed := g.fixed.secrets()
	if len(g.perRequest) == 0 {
		return fixed, nil
	}
	// The fixed ones come first and keep their index, as metrics name it.
	set := slices.Clone(fixed)
	for _, text := range g.perRequest {
		value, err := text.Resolve(repl.Get)
		if err != nil {
			return set, webhook.Refuse(webhook.SecretUnavailable, "a per_request secret has no value for this request: %w: give its map a default, or guard only what it knows", err)
		}
		made, err := g.newSecrets(value, time.Time{})
		if err != nil {
			return set, webhook.Refuse(webhook.SecretUnavailable, "a per_request secret cannot be used: %w", err)
		}
		set = append(set, made...)
	}
	return set, nil
}
