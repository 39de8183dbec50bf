package explain

import (
	"math"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/explain/mistake"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// judge has readings judged by package webhook. One mistake meets hundreds of others,
// so a judge compiles each set of lines once and makes each key once.
type judge struct {
	now     time.Time
	senders map[string]*webhook.Sender // by Reading.Lines; nil where lines do not compile
	keys    map[keyID]*signature.Key   // nil where the text is no key
}

func newJudge(now time.Time) *judge {
	return &judge{now: now, senders: make(map[string]*webhook.Sender), keys: make(map[keyID]*signature.Key)}
}

// errNoSender is why a reading with lines that contradict each other is refused.
var errNoSender = webhook.Refuse(webhook.Misconfigured, "no provider can have these lines")

// reading judges what authenticates a reading: its token or its signature, whatever
// the method, the stamp and the ID.
func (j *judge) reading(r *mistake.Reading) *webhook.Refusal {
	sender := j.sender(r)
	if sender == nil {
		return errNoSender
	}
	_, refused := j.request(sender, r.Request, r.Secret)
	return refused
}

// head judges what the headers of a reading tell.
func (j *judge) head(r *mistake.Reading) *webhook.Refusal {
	sender := j.sender(r)
	if sender == nil {
		return errNoSender
	}
	judgement := sender.Begin(r.Request, tenant{j, sender, r.Secret}, j.now)
	return judgement.Head()
}

func (j *judge) sender(r *mistake.Reading) *webhook.Sender {
	sender, known := j.senders[r.Lines]
	if !known {
		if made, err := webhook.New("", r.Provider); err == nil {
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

// lenient is a sender that takes the method, every stamp that can be read, and the
// request's URL as it is.
func lenient(s *webhook.Sender, method string) *webhook.Sender {
	return changed(s, func(rules *config.Resolved) {
		rules.Methods, rules.Window, rules.PublicURL = []string{method}, wide, nil
	})
}

// changed is a copy of a sender with other rules.
func changed(s *webhook.Sender, change func(*config.Resolved)) *webhook.Sender {
	other, rules := *s, *s.Rules
	change(&rules)
	other.Rules = &rules
	return &other
}

// tenant has one secret. Its key is made when the judgement asks for it: most readings
// are refused before that.
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
	if key := t.judge.key(t.sender, t.text); key != nil {
		return []signature.Secret{{Key: key}}, nil
	}
	return nil, errNoKey
}

var errNoKey = webhook.Refuse(webhook.SecretUnavailable, "the secret is no key of the provider's")

// Scope implements [webhook.Tenant].
func (t tenant) Scope() (string, *webhook.Refusal) { return "", nil }

// keyID is what a key follows from: the text, and what the lines say of it.
type keyID struct{ text, encoding, prefix, algorithms string }

func newKeyID(rules *config.Resolved, text string) keyID {
	id, spec := keyID{text: text}, rules.Scheme.Spec()
	switch {
	case rules.Token != nil: // the text itself is sent
	case rules.Scheme.Asymmetric():
		for _, line := range spec.Signatures {
			id.algorithms += line.Algorithm + " "
		}
	default:
		id.encoding, id.prefix = spec.SecretEncoding, spec.SecretPrefix
	}
	return id
}

func (j *judge) key(s *webhook.Sender, text string) *signature.Key {
	id := newKeyID(s.Rules, text)
	key, known := j.keys[id]
	if !known {
		if made, err := s.NewKey(text); err == nil {
			key = made
		}
		j.keys[id] = key
	}
	return key
}
