package explain

import (
	"math"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/explain/mistake"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// judge judges readings with package webhook. Pairs repeat the same mistake hundreds of
// times, so a judge compiles each set of lines once and makes each key once.
type judge struct {
	now     time.Time
	senders map[string]*webhook.Sender   // by Reading.Lines; nil where lines do not compile
	keys    map[keyID][]signature.Secret // none where the text cannot be a key
}

func newJudge(now time.Time) *judge {
	return &judge{now: now, senders: make(map[string]*webhook.Sender), keys: make(map[keyID][]signature.Secret)}
}

// errNoSender refuses a reading whose lines contradict each other.
var errNoSender = webhook.Refuse(webhook.Misconfigured, "no provider can have these lines")

// reading judges the token or the signature of a reading, and neither its method nor
// the age of its stamp.
func (j *judge) reading(r *mistake.Reading) *webhook.Refusal {
	sender := j.sender(r)
	if sender == nil {
		return errNoSender
	}
	_, refused := j.request(sender, r.Request, r.Secret)
	return refused
}

// head judges a reading by its headers alone.
func (j *judge) head(r *mistake.Reading) *webhook.Refusal {
	sender := j.sender(r)
	if sender == nil {
		return errNoSender
	}
	judgement := sender.Begin(r.Request, tenant{j, sender, r.Secret}, j.now)
	return judgement.Head()
}

// sender compiles the lines of a reading; nil where they contradict each other.
func (j *judge) sender(r *mistake.Reading) *webhook.Sender {
	sender, known := j.senders[r.Lines]
	if !known {
		if made, err := webhook.New("", timeless(r.Provider)); err == nil {
			sender = lenient(made, r.Request.Method)
		}
		j.senders[r.Lines] = sender
	}
	return sender
}

// request judges a request as far as its stamps. The event has nothing but its times.
func (j *judge) request(s *webhook.Sender, r signature.Request, secret string) (event webhook.Event, refused *webhook.Refusal) {
	judgement := s.Begin(r, tenant{j, s, secret}, j.now)
	if refused = judgement.Head(); refused == nil {
		refused = judgement.Authenticate(r.Body)
	}
	if refused == nil {
		judgement.Times(&event)
	}
	return event, refused
}

// stamps judges the stamps of a provider as far as they can be read. A stamp inside a
// signature counts only with the signature that matches.
func (j *judge) stamps(in *Input, p config.Provider) (webhook.Event, *webhook.Refusal) {
	if sender := anyMethod(in, p); sender != nil && sender.Rules.Scheme.Signed() {
		event, refused := j.request(sender, in.Request, in.Secret)
		if !ofSignature(refused) {
			return event, refused
		}
	}
	if p.Timestamp != nil && p.Timestamp.Source.Kind == signature.SourceSignature {
		p.Timestamp = nil
	}
	p.Signature, p.Signed, p.Scheme, p.Token, p.ID = nil, nil, "", "", nil
	if unsigned := anyMethod(in, p); unsigned != nil {
		return j.request(unsigned, in.Request, "")
	}
	return webhook.Event{}, nil // no stamp is left to judge
}

// ofSignature reports whether a refusal is about the signature and not a stamp.
func ofSignature(refused *webhook.Refusal) bool {
	if refused == nil {
		return false
	}
	switch refused.Result {
	case webhook.SignatureMissing, webhook.SignatureMalformed, webhook.SignatureInvalid:
		return true
	}
	return false
}

// wide lets every stamp pass.
var wide = signature.Window{MaxAge: math.MaxInt64, MaxSkew: math.MaxInt64, EventTTL: math.MaxInt64}

// timeless is a provider whose events need no time of their own.
func timeless(p config.Provider) config.Provider {
	if p.EventTime != nil {
		event := *p.EventTime
		event.Optional = true
		p.EventTime = &event
	}
	return p
}

// lenient is a copy of a sender that accepts the method and every stamp that can be
// read, and leaves the request's URL as it is.
func lenient(s *webhook.Sender, method string) *webhook.Sender {
	return changed(s, func(rules *config.Resolved) {
		rules.Methods, rules.Window, rules.PublicURL = []string{method}, wide, nil
	})
}

// anyMethod is a sender with the provider's own window that accepts the request's
// method; nil where the lines do not compile.
func anyMethod(in *Input, p config.Provider) *webhook.Sender {
	sender, err := webhook.New(in.Name, p)
	if err != nil {
		return nil
	}
	return changed(sender, func(rules *config.Resolved) { rules.Methods = []string{in.Request.Method} })
}

// changed is a copy of a sender with changed rules.
func changed(s *webhook.Sender, change func(*config.Resolved)) *webhook.Sender {
	other, rules := *s, *s.Rules
	change(&rules)
	other.Rules = &rules
	return &other
}

// tenant has one secret. It makes the key when the judgement asks for it, as most
// readings are refused before that.
type tenant struct {
	judge  *judge
	sender *webhook.Sender
	text   string
}

// Secrets implements [webhook.Tenant].
func (t tenant) Secrets() ([]signature.Secret, *webhook.Refusal) {
	if !t.sender.Authenticates() {
		return nil, nil
	}
	if secrets := t.judge.secrets(t.sender, t.text); len(secrets) > 0 {
		return secrets, nil
	}
	return nil, errNoKey
}

var errNoKey = webhook.Refuse(webhook.SecretUnavailable, "the secret is no key of the provider's")

// Scope implements [webhook.Tenant].
func (t tenant) Scope() (string, *webhook.Refusal) { return "", nil }

// keyID is what determines a key: the text and the lines about secrets.
type keyID struct{ text, encoding, prefix, algorithms string }

func newKeyID(rules *config.Resolved, text string) keyID {
	id, spec := keyID{text: text}, rules.Scheme.Spec()
	switch {
	case rules.Token != nil: // the text itself is sent
		id.encoding = rules.Token.Scheme
	case rules.Scheme.Asymmetric():
		for _, line := range spec.Signatures {
			id.algorithms += line.Algorithm + " "
		}
	default:
		id.encoding, id.prefix = spec.SecretEncoding, spec.SecretPrefix
	}
	return id
}

// secrets makes the keys of a secret, which may be a list; none where the text cannot be
// one.
func (j *judge) secrets(s *webhook.Sender, text string) []signature.Secret {
	id := newKeyID(s.Rules, text)
	secrets, known := j.keys[id]
	if !known {
		if keys, err := s.NewKeys(text); err == nil {
			for _, key := range keys {
				secrets = append(secrets, signature.Secret{Key: key})
			}
		}
		j.keys[id] = secrets
	}
	return secrets
}
