package config

import (
	"errors"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// The defaults of what a provider does not set.
const (
	DefaultMaxAge      = 5 * time.Minute
	DefaultMaxSkew     = time.Minute
	DefaultDedupeTTL   = 72 * time.Hour
	DefaultMaxBody     = 10 << 20
	DefaultBodyTimeout = 10 * time.Second
	DefaultLease       = 10 * time.Second
	MinLease           = 3 * time.Second
	DefaultTimeout     = 5 * time.Minute
	DefaultWait        = 5 * time.Second

	// A sender may retry for its whole retry span. The margin covers its clock, its
	// queue and a person who presses "redeliver".
	ttlMargin = 24 * time.Hour
)

// Resolved is a provider with every default filled in and every part checked.
type Resolved struct {
	// Scheme verifies signatures and reads stamps. It is never nil: with a token it has
	// no signature, but still the stamps.
	Scheme *signature.Scheme

	// Token is nil where the sender signs, and where nothing authenticates it.
	Token *Token

	// Event is where the event's type is; nil where the sender has none.
	Event *signature.Source

	// Content is what makes two deliveries the same. It is nil for the default, and
	// where ContentOff says that only the ID does.
	Content    *signature.Template
	ContentOff bool

	Window    signature.Window
	DedupeTTL time.Duration

	PublicURL *url.URL // nil: the request's own

	Methods     []string
	MaxBody     int64
	BodyTimeout time.Duration
	Lease       time.Duration
	Timeout     time.Duration
	Wait        time.Duration // 0: refuse copies at once
	Success     Statuses
	Answer      *Answer // nil: the first success's status
}

// Resolve checks the provider and fills in the defaults. Errors name the line.
func (p Provider) Resolve() (*Resolved, error) {
	if err := p.checkPositive(); err != nil {
		return nil, err
	}
	if err := p.checkFacts(); err != nil {
		return nil, err
	}
	scheme, err := p.compile()
	if err != nil {
		return nil, err
	}
	r := &Resolved{
		Scheme:      scheme,
		DedupeTTL:   or(p.DedupeTTL, p.defaultDedupeTTL()),
		Methods:     p.Methods,
		MaxBody:     p.MaxBody,
		BodyTimeout: or(p.BodyTimeout, DefaultBodyTimeout),
		Timeout:     or(p.Timeout, DefaultTimeout),
		Wait:        p.wait(),
		Answer:      p.Answer,
	}
	r.Lease = or(p.Lease, min(p.defaultLease(), r.Timeout))
	r.Window = signature.Window{
		MaxAge:   or(p.MaxAge, p.defaultMaxAge()),
		MaxSkew:  or(p.MaxSkew, DefaultMaxSkew),
		EventTTL: r.DedupeTTL,
	}
	if len(r.Methods) == 0 {
		r.Methods = []string{"POST"}
	}
	if r.MaxBody == 0 {
		r.MaxBody = DefaultMaxBody
	}
	if p.Token != "" {
		token, err := ParseToken(p.Token)
		if err != nil {
			return nil, lineError("token", "%w", err)
		}
		r.Token = &token
	}
	if err := r.resolveNames(p); err != nil {
		return nil, err
	}
	if r.PublicURL, err = p.publicURL(); err != nil {
		return nil, err
	}
	success := p.Success
	if len(success) == 0 {
		success = []string{"2xx"}
	}
	if r.Success, err = ParseStatuses(success); err != nil {
		return nil, lineError("success", "%w", err)
	}
	if _, err = ParseStatuses(p.Final); err != nil {
		return nil, lineError("final", "%w", err)
	}
	return r, r.checkTimes()
}

// resolveNames resolves where an event's type is and what makes two deliveries the same.
func (r *Resolved) resolveNames(p Provider) error {
	if p.Event != (signature.Source{}) {
		if err := p.Event.Check(); err != nil {
			return lineError("event", "%w", err)
		}
		r.Event = &p.Event
	}
	r.ContentOff = p.Content == "off"
	if p.Content == "" || r.ContentOff {
		return nil
	}
	template, err := signature.ParseTemplate(p.Content)
	if err != nil {
		return lineError("content", "%w", err)
	}
	r.Content = template
	return nil
}

// IDSigned reports whether the whole ID is under the signature; false where there is
// no ID.
func (r *Resolved) IDSigned() bool {
	sources := r.Scheme.Spec().ID
	for _, source := range sources {
		if !r.Scheme.Covers(source) {
			return false
		}
	}
	return len(sources) > 0
}

// checkTimes refuses times that contradict each other.
func (r *Resolved) checkTimes() error {
	if r.Lease > r.Timeout {
		return lineError("lease", "%s is longer than timeout, %s: a claim must not outlive the work on its event; lower lease or raise timeout", r.Lease, r.Timeout)
	}
	if least := r.Window.MaxAge + r.Window.MaxSkew; r.DedupeTTL < least {
		return lineError("dedupe_ttl", "%s is shorter than max_age + max_skew, %s: a request could be replayed once it is forgotten; raise dedupe_ttl or lower max_age", r.DedupeTTL, least)
	}
	return nil
}

// checkPositive refuses values that JSON can state and the lines cannot.
func (p Provider) checkPositive() error {
	for line, d := range map[string]caddy.Duration{
		"max_age": p.MaxAge, "max_skew": p.MaxSkew, "dedupe_ttl": p.DedupeTTL,
		"body_timeout": p.BodyTimeout, "lease": p.Lease, "timeout": p.Timeout,
		"retry_span": p.RetrySpan, "answer_within": p.AnswerWithin,
	} {
		if d < 0 {
			return lineError(line, "%s is not positive", time.Duration(d))
		}
	}
	for _, d := range p.Retries {
		if d < 0 {
			return lineError("retries", "%s is negative", time.Duration(d))
		}
	}
	if p.MaxBody < 0 {
		return lineError("max_body", "%d is not positive", p.MaxBody)
	}
	if p.InFlight != nil && p.InFlight.Wait < 0 {
		return lineError("in_flight", "%s is not positive", time.Duration(p.InFlight.Wait))
	}
	if p.Answer != nil && (p.Answer.Status < 200 || p.Answer.Status > 599) {
		return lineError("answer", "%d is not a status of an answer", p.Answer.Status)
	}
	return nil
}

func (p Provider) compile() (*signature.Scheme, error) {
	return signature.Compile(signature.Spec{
		Signatures:      p.Signature,
		Signed:          p.Signed,
		SignedFunctions: p.SignedFunctions,
		Items:           p.Items,
		Named:           p.Scheme,
		Claims:          p.Claim,
		Params:          p.Param,
		Timestamp:       p.Timestamp,
		EventTime:       p.EventTime,
		ID:              p.ID,
		SecretEncoding:  p.SecretEncoding,
		SecretPrefix:    p.SecretPrefix,
	})
}

func (p Provider) publicURL() (*url.URL, error) {
	if p.PublicURL == "" {
		return nil, nil
	}
	u, err := url.Parse(p.PublicURL)
	if err == nil && (u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil || u.Fragment != "") {
		err = errors.New("not a whole URL")
	}
	if err != nil {
		return nil, lineError("public_url", "write the URL as it is registered with the sender, https://host/path, or only https://host")
	}
	return u, nil
}

// Span returns how long the sender retries one event: the delays, plus its time-out for
// each attempt.
func (p Provider) Span() time.Duration {
	if p.RetrySpan > 0 {
		return time.Duration(p.RetrySpan)
	}
	if len(p.Retries) == 0 {
		return 0
	}
	attempts := time.Duration(len(p.Retries) + 1)
	return p.delays() + attempts*time.Duration(p.AnswerWithin)
}

func (p Provider) delays() (sum time.Duration) {
	for _, d := range p.Retries {
		sum += time.Duration(d)
	}
	return sum
}

// defaultMaxAge includes the retry span where the stamp stays the same on every retry:
// the last retry's stamp is that old.
func (p Provider) defaultMaxAge() time.Duration {
	if p.Timestamp != nil && p.Timestamp.PerEvent {
		return DefaultMaxAge + p.Span()
	}
	return DefaultMaxAge
}

// defaultDedupeTTL never ends before max_age, however long that is.
func (p Provider) defaultDedupeTTL() time.Duration {
	window := or(p.MaxAge, p.defaultMaxAge()) + or(p.MaxSkew, DefaultMaxSkew)
	return max(DefaultDedupeTTL, p.Span()+ttlMargin, window)
}

// defaultLease is short enough that a sender whose retries end soon still makes one after
// a gateway died: a fifth of the time that its retries take.
func (p Provider) defaultLease() time.Duration {
	if len(p.Retries) == 0 {
		return DefaultLease
	}
	return min(DefaultLease, max(MinLease, p.delays()/5))
}

// wait ends before the sender's own time-out, so that a copy gets its response.
func (p Provider) wait() time.Duration {
	switch {
	case p.InFlight == nil && p.AnswerWithin > 0:
		return min(DefaultWait, time.Duration(p.AnswerWithin)/2)
	case p.InFlight == nil:
		return DefaultWait
	case p.InFlight.Reject:
		return 0
	case p.InFlight.Wait == 0:
		return DefaultWait
	}
	return time.Duration(p.InFlight.Wait)
}

func or(said caddy.Duration, otherwise time.Duration) time.Duration {
	if said > 0 {
		return time.Duration(said)
	}
	return otherwise
}
