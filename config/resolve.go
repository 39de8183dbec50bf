package config

import (
	"fmt"
	"slices"
	"strings"
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

	// Keys is where the sender's public keys are fetched; nil where they are not.
	Keys *KeySource

	// Event is where the event's type is; nil where the sender has none.
	Event *signature.Source

	// ID holds the sources of the ID, and then those after `or`: the first whose
	// sources are all in a request is its ID.
	ID []EventID

	// NeedsID means that an event without an ID is malformed: the sender signs all that
	// can be one, and says of none that it is optional.
	NeedsID bool

	// Copies is what makes two deliveries the same where the ID does not settle it.
	// Content is the template, with CopiesByTemplate.
	Copies  Copies
	Content *signature.Template

	// SignedDiffers means that what is signed differs from event to event, so that a digest
	// of it tells them apart.
	SignedDiffers bool

	Window    signature.Window
	DedupeTTL time.Duration

	// Renewed means that the sender stamps each attempt anew, so that the stamp of a genuine
	// request is as old as its way was long.
	Renewed bool

	PublicURL *PublicURL // nil: the request's own

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
	if err := p.check(); err != nil {
		return nil, err
	}
	scheme, err := p.compile()
	if err != nil {
		return nil, err
	}
	r := &Resolved{
		Scheme:      scheme,
		Methods:     p.Methods,
		MaxBody:     p.MaxBody,
		BodyTimeout: or(p.BodyTimeout, DefaultBodyTimeout),
		Timeout:     or(p.Timeout, DefaultTimeout),
		Wait:        p.InFlight.wait(p.AnswerWithin),
		Answer:      p.Answer,
	}
	r.Lease = or(p.Lease, min(defaultLease(p.Retries), r.Timeout))
	r.resolveWindow(p)
	if len(r.Methods) == 0 {
		r.Methods = []string{"POST"}
	}
	if r.MaxBody == 0 {
		r.MaxBody = DefaultMaxBody
	}
	if p.Token != "" {
		if len(p.Signature) > 0 || p.Scheme != "" {
			return nil, lineError("token", "a sender sends either a token or a signature: remove this line, or signature and scheme")
		}
		token, err := ParseToken(p.Token)
		if err != nil {
			return nil, lineError("token", "%w", err)
		}
		r.Token = &token
	}
	if r.Keys, err = p.Keys.resolve(scheme); err != nil {
		return nil, lineError("keys", "%w", err)
	}
	if err := r.resolveNames(p); err != nil {
		return nil, err
	}
	// One with placeholders is parsed when the configuration loads, or for each request.
	if p.PublicURL != "" && !strings.Contains(p.PublicURL, "{") {
		if r.PublicURL, err = ParsePublicURL(p.PublicURL); err != nil {
			return nil, err
		}
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
		if err := p.checkSource(p.Event); err != nil {
			return lineError("event", "%w", err)
		}
		r.Event = &p.Event
	}
	for _, sources := range [][]signature.Source{r.Scheme.Spec().ID, p.OrID} {
		if len(sources) == 0 {
			continue
		}
		id := EventID{Sources: sources, Signed: true}
		for _, source := range sources {
			if err := p.checkSource(source); err != nil {
				return lineError("id", "%w", err)
			}
			id.Signed = id.Signed && r.Scheme.Covers(source)
		}
		id.Named = !id.Signed && !slices.ContainsFunc(sources, func(source signature.Source) bool {
			return source.Kind != signature.SourceForm || !signature.Holds(r.Scheme, source)
		})
		r.ID = append(r.ID, id)
	}
	r.NeedsID = r.IDSigned() && !p.OptionalID
	return r.resolveCopies(p)
}

// checkSource refuses a source that cannot be read, and one that no request has.
func (p Provider) checkSource(source signature.Source) error {
	if source.Kind == signature.SourceClaim && p.Scheme != "jwt" {
		return fmt.Errorf("%s needs the line scheme jwt", source)
	}
	return source.Check()
}

// EventID is one way in which a request names its event.
type EventID struct {
	Sources []signature.Source
	Signed  bool // whether all of it is under the signature, and can be trusted
	// Named means that it is fields of a form whose names and values are in what is signed
	// as one text. Where one ends is open, but their names are in that text or are not.
	Named bool
}

// Copies is what makes two deliveries the same where the ID does not settle it.
type Copies int

// The ways to tell copies from other events.
const (
	// CopiesByID means that nothing does but the ID.
	CopiesByID Copies = iota
	// CopiesBySigned means that all the signature covers does, the stamp included:
	// only a captured request is a copy.
	CopiesBySigned
	// CopiesByEvent means that what the signature covers does, without the attempt's
	// own stamp: the sender's retries are copies.
	CopiesByEvent
	// CopiesByTemplate means that a content line does.
	CopiesByTemplate
)

// resolveCopies reads the content line, or derives what stands in for it.
func (r *Resolved) resolveCopies(p Provider) error {
	signed := r.Scheme.Signed()
	r.SignedDiffers = signedDiffers(r)
	switch p.Content {
	case "off":
	case "signed":
		if !signed {
			return lineError("content", "nothing is signed: write content off, or a template")
		}
		r.Copies = CopiesBySigned
	case "":
		r.Copies = r.derivedCopies(p)
	default:
		template, err := signature.ParseTemplate(p.Content)
		if err != nil {
			return lineError("content", "%w", err)
		}
		r.Copies, r.Content = CopiesByTemplate, template
	}
	return nil
}

// derivedCopies is what a sender without a content line has. Who knows a token can write
// any body, so a digest would protect from nobody. An answer that is an instruction is
// asked for again with the very same bytes.
func (r *Resolved) derivedCopies(p Provider) Copies {
	switch {
	case !r.Scheme.Signed(), !r.SignedDiffers:
		return CopiesByID
	case p.Answer.remembers() && !r.FreshPerAttempt() && !signsOpenID(r):
		return CopiesByID
	case len(p.ID) == 0 && signature.SignsEvent(r.Scheme):
		return CopiesByEvent
	}
	return CopiesBySigned
}

// signedDiffers reports whether what is signed differs from event to event. Where it holds
// nothing of the event, a stamp or a nonce has to do that. The times in a token do not: one
// token may serve many requests.
func signedDiffers(r *Resolved) bool {
	ofRequest := r.Scheme.Spec().Named != "jwt" && (r.stampSigned() || signature.SignsNonce(r.Scheme))
	return signature.SignsEvent(r.Scheme) || ofRequest || signsOpenID(r)
}

// signsOpenID reports whether an ID is in what is signed and cannot be trusted, as it stands
// next to an open border. What is signed is then new for each event all the same.
func signsOpenID(r *Resolved) bool {
	return slices.ContainsFunc(r.ID, func(id EventID) bool {
		return !id.Signed && !slices.ContainsFunc(id.Sources, func(source signature.Source) bool { return !signature.Holds(r.Scheme, source) })
	})
}

// IDSigned reports whether the whole ID is under the signature; false where there is
// no ID.
func (r *Resolved) IDSigned() bool {
	return len(r.ID) > 0 && !slices.ContainsFunc(r.ID, func(id EventID) bool { return !id.Signed })
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

// check refuses values and facts that JSON can state and the lines cannot.
func (p Provider) check() error {
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
	if p.NeverRetries && len(p.Retries) > 0 {
		return lineError("retries", "write the delays or none, not both")
	}
	if p.MaxBody < 0 {
		return lineError("max_body", "%d is not positive", p.MaxBody)
	}
	if p.InFlight != nil && p.InFlight.Wait < 0 {
		return lineError("in_flight", "%s is not positive", time.Duration(p.InFlight.Wait))
	}
	if err := p.Answer.check(); err != nil {
		return err
	}
	if err := checkConfidence(p.Confidence); err != nil {
		return lineError("confidence", "%w", err)
	}
	if err := checkChecked(p.Checked); err != nil {
		return lineError("checked", "%w", err)
	}
	if err := checkUnverified(p.Unverified); err != nil {
		return lineError("unverified", "%w", err)
	}
	return nil
}

func (a *Answer) check() error {
	switch {
	case a == nil:
		return nil
	case a.Remember == 0 && (a.Status < 200 || a.Status > 599):
		return lineError("answer", "%d is not a status of an answer", a.Status)
	case a.Remember < 0 || a.Remember > maxRemember:
		return lineError("answer", "remember takes a size up to %d bytes, not %d", maxRemember, a.Remember)
	case a.Remember > 0 && (a.Status != 0 || a.Body != ""):
		return lineError("answer", "is either fixed or remembered, not both")
	}
	return nil
}

func (p Provider) compile() (*signature.Scheme, error) {
	keyName, _ := p.Keys.Name()
	spec := signature.Spec{
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
		Event:           p.Event,
		KeySet:          p.Keys.isSet(),
		KeyID:           p.KeyID,
		KeyName:         keyName,
		KeyByID:         p.Keys != nil && p.Keys.API != nil,
		Allowed:         p.Allow,
		SecretEncoding:  p.SecretEncoding,
		SecretPrefix:    p.SecretPrefix,
	}
	if p.Timestamp != nil {
		stamp := *p.Timestamp
		stamp.MayBeRenewed = slices.Contains(p.Unverified, "timestamp_renewed")
		spec.Timestamp = &stamp
	}
	return signature.Compile(spec)
}
