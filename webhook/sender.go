package webhook

import (
	"errors"
	"slices"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Sender judges the requests of one sender. It is immutable once made, so it is safe for
// concurrent use.
type Sender struct {
	// Name is the provider's.
	Name string

	// Rules are the provider's lines with every default filled in.
	Rules *config.Resolved

	// Weight is how many times its own size a body may take in memory until the request is
	// verified.
	Weight int

	form     *signature.FormPlan
	token    *token // nil where the sender signs, or sends nothing
	identity identity
}

// New checks a provider and makes it ready for use. Errors name the line.
func New(name string, p config.Provider) (*Sender, error) {
	rules, err := p.Resolve()
	if err != nil {
		return nil, err
	}
	s := &Sender{Name: name, Rules: rules, identity: newIdentity(rules), Weight: signature.Weight(rules.Scheme)}
	s.form = signature.NewFormPlan(rules.Scheme, rules.Reads())
	if rules.Token != nil {
		s.token = &token{*rules.Token}
		s.Weight = max(s.Weight, 1+s.token.Source.Weight())
	}
	return s, nil
}

// Authenticates reports whether anything proves who sent a request.
func (s *Sender) Authenticates() bool { return s.token != nil || s.Rules.Scheme.Signed() }

// TellsConflicts reports whether a known ID that comes with another content key has come
// with other content.
func (s *Sender) TellsConflicts() bool { return s.identity.tellsConflicts() }

// ByIDAlone reports whether an event that has an ID has no other key, so that its copies
// are recognised by ID alone.
func (s *Sender) ByIDAlone() bool {
	named := slices.ContainsFunc(s.Rules.ID, func(id config.EventID) bool { return id.Named })
	return s.Rules.Copies == config.CopiesByID && !named || s.Rules.IDSigned()
}

// NewKey makes a key of a secret's text, or of a public key where the sender signs with
// a private one. Its errors never hold the text.
func (s *Sender) NewKey(text string) (*signature.Key, error) {
	if s.token != nil {
		token := s.TokenOf(text)
		if s.token.blank(token) {
			return nil, errors.New("the secret is empty but for what stands around it in the header, so that anyone could send it")
		}
		return signature.NewKey(token, "raw", "") // the text itself is sent
	}
	return s.Rules.Scheme.NewKey(text)
}

// TokenOf is the token in a secret's text, which may have been pasted with the scheme that
// stands before it in the header.
func (s *Sender) TokenOf(text string) string {
	if s.token == nil {
		return text
	}
	return s.token.pasted(text)
}

// NewKeys is NewKey for a text that may be a list, as some senders show theirs while
// one secret takes the place of another.
func (s *Sender) NewKeys(text string) ([]*signature.Key, error) {
	if s.token == nil {
		return s.Rules.Scheme.NewKeys(text)
	}
	key, err := s.NewKey(text)
	return []*signature.Key{key}, err
}

// TTL is how long an event is to be remembered from now on: dedupe_ttl beyond the
// latest time that a copy of it could still carry.
func (s *Sender) TTL(e *Event, now time.Time) time.Duration {
	latest := now
	for _, t := range []time.Time{e.Sent, e.Occurred} {
		if t.After(latest) {
			latest = t
		}
	}
	return latest.Sub(now) + s.Rules.DedupeTTL + s.Rules.Window.MaxSkew
}

// SignedURL puts the URL that is registered with the sender in place of the request's
// own: senders that sign the URL sign that one.
func (s *Sender) SignedURL(r signature.Request) signature.Request {
	return AtPublicURL(r, s.Rules.PublicURL)
}

// AtPublicURL is a request to the URL that is registered with its sender. The query stays
// the request's own, as each request may have another one. Without a public URL, so does
// everything.
func AtPublicURL(r signature.Request, public *config.PublicURL) signature.Request {
	if public == nil {
		return r
	}
	r.Scheme, r.Credentials, r.Host, r.Fragment = public.Scheme, public.Credentials, public.Host, public.Fragment
	if public.Path != "" {
		r.Path = public.Path
	}
	return r
}
