package caddymodule

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// newSecret makes a secret of its resolved text. An error never holds the text.
func (g *Guard) newSecret(text string, until time.Time) (signature.Secret, error) {
	if text == "" {
		return signature.Secret{}, errors.New("it is empty")
	}
	key, err := g.sender.NewKey(text)
	return signature.Secret{Key: key, Until: until}, err
}

// resolveSecrets makes the fixed secrets and checks the others as far as that
// can be done before a request comes.
func (g *Guard) resolveSecrets() error {
	if err := g.checkAuthentication(); err != nil {
		return err
	}
	line, secrets := g.secretLines()
	past := 0
	for i, secret := range secrets {
		over, err := g.resolve(secret)
		if err != nil {
			return fmt.Errorf("%s %d: %w", line, i+1, err)
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
func (g *Guard) resolve(secret Secret) (past bool, err error) {
	if secret.PerRequest {
		return false, g.addPerRequest(secret)
	}
	text, err := placeholder.Resolve(secret.Value)
	if err != nil {
		return false, err
	}
	var until time.Time
	if secret.Until != nil {
		until = *secret.Until
		past = !g.now().Before(until)
	}
	made, err := g.newSecret(text, until)
	if err == nil {
		g.fixed = append(g.fixed, made)
	}
	return past, err
}

// checkAuthentication refuses a guard that would let strangers in.
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

// checkSecretLines makes sure that there are keys, and of the kind that the
// provider signs with.
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
var senderChosen = []string{"{http.request.", "{http.regexp."}

// addPerRequest keeps a secret whose placeholders are resolved for each request.
func (g *Guard) addPerRequest(secret Secret) error {
	if !strings.Contains(secret.Value, "{") {
		return errors.New("per_request without a placeholder: leave the word out")
	}
	for _, prefix := range senderChosen {
		if strings.Contains(secret.Value, prefix) {
			return fmt.Errorf("%s…} is chosen by the sender, who must not choose the key: use the output of a map", prefix)
		}
	}
	if secret.Until != nil {
		return errors.New("per_request and until do not go together: let the map end the old secret")
	}
	if !g.scopeVaries {
		return errors.New("per_request needs a scope with a placeholder, such as scope {tenant}: tenants that share one could use up each other's event IDs")
	}
	g.perRequest = append(g.perRequest, secret.Value)
	return nil
}

// secretsFor returns the secrets that may match one request.
func (g *Guard) secretsFor(repl *caddy.Replacer) ([]signature.Secret, *webhook.Refusal) {
	if len(g.perRequest) == 0 {
		return g.fixed, nil
	}
	// The fixed ones come first and keep their index, as metrics name it.
	set := slices.Clone(g.fixed)
	for _, value := range g.perRequest {
		text := repl.ReplaceKnown(value, "")
		if text == "" || strings.Contains(text, "{") {
			return set, webhook.Refuse(webhook.SecretUnavailable, "a per_request secret has no value for this request: give its map a default, or guard only what it knows")
		}
		secret, err := g.newSecret(text, time.Time{})
		if err != nil {
			return set, webhook.Refuse(webhook.SecretUnavailable, "a per_request secret cannot be used: %w", err)
		}
		set = append(set, secret)
	}
	return set, nil
}

// fingerprint digests what must not differ between guards that share a scope:
// the secrets, what is signed, and what the ID is.
func (g *Guard) fingerprint() [sha256.Size]byte {
	var values []string
	for _, s := range slices.Concat(g.Secret, g.PublicKey) {
		// Resolved once more, because two placeholders may hold one secret.
		text := s.Value
		if !s.PerRequest {
			text, _ = placeholder.Resolve(text)
		}
		values = append(values, text)
	}
	slices.Sort(values)                                                                       // their order means nothing
	encoded, _ := json.Marshal([]any{values, g.Token, g.Signature, g.Signed, g.Scheme, g.ID}) // strings only: cannot fail
	return sha256.Sum256(encoded)
}
