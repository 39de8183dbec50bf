package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/origin"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// secretLines are the lines that authenticate the provider, and their name. It refuses a
// guard that would accept requests from anybody.
func (g *Guard) secretLines() (line string, lines []Secret, err error) {
	asymmetric := g.sender.Rules.Scheme.Asymmetric()
	switch {
	case g.Unsigned() && g.InsecureUnsigned:
		if len(g.Secret)+len(g.PublicKey) > 0 {
			err = errors.New("secret: nothing is compared with it: name where it is sent, token <source>, or leave it out")
		}
	case g.Unsigned():
		err = errors.New("the provider does not sign: put a secret token into the URL registered with it and say `token query <key>`, or take anybody's requests with insecure_unsigned")
	case g.InsecureUnsigned:
		err = errors.New("insecure_unsigned: the provider is authenticated, so leave the line out")
	case asymmetric && len(g.Secret) > 0:
		err = errors.New("secret: the provider signs with a private key of its own: give its public key instead, public_key <value>, or say where it is published, keys jwks <url>")
	case asymmetric && len(g.PublicKey) == 0 && g.sender.Rules.Keys == nil:
		err = errors.New("public_key: none is set: add public_key {env.NAME} or public_key {file./path/to/key.pem}, or keys jwks <url> where the sender publishes its keys")
	case !asymmetric && len(g.PublicKey) > 0:
		err = errors.New("public_key: the provider authenticates with a shared secret: say secret <value>")
	case !asymmetric && len(g.Secret) == 0:
		err = errors.New("secret: none is set: add secret {env.NAME}")
	case slices.ContainsFunc(g.PublicKey, func(key Secret) bool { return key.PerRequest }):
		err = errors.New("public_key: per_request is for secrets")
	}
	if asymmetric {
		return "public_key", g.PublicKey, err
	}
	return "secret", g.Secret, err
}

// secrets are what may match the signatures of a guard's requests, or their tokens.
type secrets struct {
	sender     *webhook.Sender
	files      *follower              // of those that hold secrets
	fixed      keyring                // those that were resolved when the configuration was loaded
	perRequest []placeholder.Text     // the others
	bare       map[string]origin.Bare // what their placeholders hold where no secret is in it
	fetched    keySource              // public keys, in place of all of these; none where they are lines
}

// load adds the lines of this name. Those that are resolved for each request are checked
// as far as possible without one.
func (s *secrets) load(line string, lines []Secret, scope *scopeLine) error {
	past := 0
	for i, secret := range lines {
		name := fmt.Sprintf("%s %d", line, i+1)
		if err := s.add(name, secret, scope); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if secret.Until != nil && !s.files.now().Before(*secret.Until) {
			past++
		}
	}
	if past > 0 && past == len(lines) {
		return fmt.Errorf("%s: every %s is past its until: add the one in force", line, strings.ReplaceAll(line, "_", " "))
	}
	return nil
}

// add adds one line.
func (s *secrets) add(name string, secret Secret, scope *scopeLine) error {
	if secret.PerRequest {
		return s.addPerRequest(secret, scope)
	}
	var until time.Time
	if secret.Until != nil {
		until = *secret.Until
	}
	set := s.fixed.add()
	return s.files.follow(name, secret.Value, func(value string) error {
		made, err := s.parse(value, until)
		if err != nil {
			return err
		}
		s.warn(name, value, made)
		set(made)
		return nil
	})
}

// parse makes the secrets of a line's resolved text: one, or each of a list. An error
// never holds the text.
func (s *secrets) parse(text string, until time.Time) ([]signature.Secret, error) {
	if text == "" {
		return nil, errors.New("it is empty")
	}
	if err := placeholder.Slip(text); err != nil {
		return nil, err
	}
	keys, err := s.sender.NewKeys(text)
	if err != nil {
		return nil, err
	}
	made := make([]signature.Secret, len(keys))
	for i, key := range keys {
		made[i] = signature.Secret{Key: key, Until: until}
	}
	return made, nil
}

// shortSecret is the length, in bytes, under which a secret can be guessed by trying.
const shortSecret = 16

// warn logs what looks wrong with a secret that is accepted.
func (s *secrets) warn(name, text string, made []signature.Secret) {
	if s.sender.Rules.Scheme.Asymmetric() {
		return // its text is read as a whole, and is no secret
	}
	warn := func(message string) { s.files.logger.Warn(message, zap.String("line", name)) }
	if signature.TrimInvisible(text) != text {
		warn("the secret has white space, or a byte order mark, at its ends: is that a part of it?")
	} else if n := len(text); n > 1 && text[0] == text[n-1] && strings.ContainsRune("\"'`", rune(text[0])) {
		warn("the secret has quotes around it: are they a part of it?")
	}
	if slices.ContainsFunc(made, func(s signature.Secret) bool { return s.Key.Size() < shortSecret }) {
		warn(fmt.Sprintf("the secret is shorter than %d bytes, and a short one can be guessed: let the sender make a longer one", shortSecret))
	}
}

// ofTenants reports whether each request has a secret of its own, and no other.
func (s *secrets) ofTenants() bool {
	shared := func(text placeholder.Text) bool {
		return !slices.ContainsFunc(text.Names(), func(name string) bool { return !loadTime(name) })
	}
	return len(s.perRequest) > 0 && len(s.fixed.secrets()) == 0 && !slices.ContainsFunc(s.perRequest, shared)
}

// ofManyHosts reports whether requests to any number of hosts have one secret.
func (s *secrets) ofManyHosts(from origin.Outputs) bool {
	ofHost := func(name string) bool {
		return !from.Many(name) && slices.ContainsFunc(from.Roots(name), origin.IsHost)
	}
	unseen := func(name string) bool { return !from.Set(name) && !loadTime(name) }
	return !s.ofTenants() || slices.ContainsFunc(s.perRequest, func(text placeholder.Text) bool {
		return !slices.ContainsFunc(text.Names(), ofHost) && !slices.ContainsFunc(text.Names(), unseen)
	})
}

// checkChoice refuses a secret that the sender chooses, through the placeholders that can
// be seen.
func (s *secrets) checkChoice(from origin.Outputs) error {
	for _, text := range s.perRequest {
		for _, name := range text.Names() {
			for _, root := range from.ValueRoots(name) {
				if chosenBySender(root) || origin.IsHost(root) || from.Set(root) {
					return fmt.Errorf("secret: {%s} is made of {%s}, which is chosen by the sender, who must not choose the key: let the outputs of its map be secrets, {env.NAME} or {file./absolute/path}", name, root)
				}
			}
		}
	}
	return nil
}

// checkShown refuses a scope that is a secret.
func (s *secrets) checkShown(scope *scopeLine) error {
	for _, text := range s.perRequest {
		for _, name := range text.Names() {
			if slices.Contains(scope.text.Names(), name) {
				return fmt.Errorf("scope: {%s} is the secret, and logs and the app see the scope: let the map give each tenant a name, too", name)
			}
		}
	}
	return nil
}

// findBare finds the texts that maps leave in a secret's place: around a placeholder that stands
// for nothing, or the placeholder itself. Each would be a key that can be guessed.
func (s *secrets) findBare(from origin.Outputs) {
	s.bare = make(map[string]origin.Bare)
	for _, text := range s.perRequest {
		for _, name := range text.Names() {
			s.bare[name] = from.Bare(name)
		}
	}
}

// lookup finds what a placeholder of a per_request secret stands for.
func (s *secrets) lookup(repl *caddy.Replacer) placeholder.Lookup {
	return func(name string) (any, bool) {
		value, known := repl.Get(name)
		if s.bare[name].Holds(caddy.ToString(value), repl.Get) {
			return "", known
		}
		return value, known
	}
}

// senderChosen are the placeholders that hold what the sender sent.
var senderChosen = []string{"http.request.", "http.regexp."}

// addPerRequest adds a line whose placeholders are resolved for each request.
func (s *secrets) addPerRequest(secret Secret, scope *scopeLine) error {
	if err := placeholder.ConfiguredSlip(secret.Value); err != nil {
		return err
	}
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
	if !scope.varies() {
		return errors.New("per_request needs a scope with a placeholder, such as scope {tenant}: tenants that share one could use up each other's event IDs")
	}
	s.perRequest = append(s.perRequest, text)
	return nil
}

// of returns the secrets that may match one request.
func (s *secrets) of(repl *caddy.Replacer) ([]signature.Secret, *webhook.Refusal) {
	if s.fetched.set != nil {
		return fetchedKeys(s.fetched.set)
	}
	fixed := s.fixed.secrets()
	if len(s.perRequest) == 0 {
		return fixed, nil
	}
	// The fixed ones come first and keep their index, as metrics name it.
	set := slices.Clone(fixed)
	defer canonicalHost(repl)()
	lookup := s.lookup(repl)
	for _, text := range s.perRequest {
		value, err := text.Resolve(lookup)
		if err != nil {
			return set, webhook.Refuse(webhook.SecretUnavailable, "a per_request secret has no value for this request: %w: its map does not know the request, or names a file or a variable that is missing or empty, or a placeholder beside a regular expression, where none is resolved", err)
		}
		made, err := s.parse(value, time.Time{})
		if err != nil {
			return set, webhook.Refuse(webhook.SecretUnavailable, "a per_request secret cannot be used: %w", err)
		}
		set = append(set, made...)
	}
	return set, nil
}
