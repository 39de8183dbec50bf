package webhook

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Tenant is the owner of the endpoint that a request was sent to.
type Tenant interface {
	// Secrets are those that may match the request. They are asked for as late as
	// possible, so that a stranger's request looks nothing up.
	Secrets() ([]signature.Secret, *Refusal)

	// Scope is the namespace of the event's ID.
	Scope() (string, *Refusal)
}

// KeyFinder is a [Tenant] whose keys are fetched, and may have changed since.
type KeyFinder interface {
	// FindKeys fetches the keys again, now that none of those tried is the one that
	// signed. named means that the request names one by an ID that none of them has. There
	// may be no others, where it has just been looked. A refusal is for a request that those
	// found do not verify either.
	FindKeys(tried []signature.Secret, named bool) ([]signature.Secret, *Refusal)
}

// KeyNamer is a [Tenant] whose keys are fetched one by one: each request names its own.
type KeyNamer interface {
	// NamesKeys is false where the keys are known beforehand all the same.
	NamesKeys() bool

	// NamedKeys are the keys of a name that is in a request, which nothing has proved yet.
	NamedKeys(name string) ([]signature.Secret, *Refusal)

	// JudgedByNamed says how a request was judged by the keys that NamedKeys gave for it.
	JudgedByNamed(name string, verified bool)
}

// Fixed is a tenant whose secrets and scope are known beforehand.
type Fixed struct {
	Keys      []signature.Secret
	Namespace string
}

// Secrets implements [Tenant].
func (f Fixed) Secrets() ([]signature.Secret, *Refusal) { return f.Keys, nil }

// Scope implements [Tenant].
func (f Fixed) Scope() (string, *Refusal) { return f.Namespace, nil }

// Judge judges a whole request. facts are what the sender sent, with the request's own
// URL; their body is not looked at.
func (s *Sender) Judge(facts signature.Request, data []byte, tenant Tenant, now time.Time) (Event, *Refusal) {
	j := s.Begin(facts, tenant, now)
	event := Event{}
	event.Own(body.Of(data))
	refused := j.Head()
	if refused == nil {
		refused = j.Authenticate(data)
	}
	if refused == nil {
		refused = j.Identify(&event)
	}
	return event, refused
}

// Judgement is one request while it is judged. Its steps are taken in order, each only
// where the one before did not refuse.
type Judgement struct {
	sender *Sender
	tenant Tenant
	now    time.Time

	signed     signature.Request // as sent, with the URL that the sender signs
	inspection signature.Inspection
	secrets    []signature.Secret
	verdict    signature.Verdict
}

// Begin starts to judge a request; see [Sender.Judge] for facts.
func (s *Sender) Begin(facts signature.Request, tenant Tenant, now time.Time) Judgement {
	j := Judgement{sender: s, tenant: tenant, now: now, signed: s.SignedURL(facts)}
	j.signed.ReadOnce(s.form)
	return j
}

// Head judges the request line and the headers, before any of the body is read.
func (j *Judgement) Head() *Refusal {
	s := j.sender
	if !slices.Contains(s.Rules.Methods, j.signed.Method) {
		return Refuse(MethodNotAllowed, "the provider uses %s", strings.Join(s.Rules.Methods, ", "))
	}
	if s.token != nil && !s.token.InBody() {
		if refused := j.matchToken(); refused != nil {
			return refused
		}
	}
	if err := j.inspect(); err != nil {
		return refuseVerdict(err)
	}
	return j.lookUpSecrets()
}

// inspect judges the signature's headers and the stamp, where it is a header.
func (j *Judgement) inspect() (err error) {
	scheme, window := j.sender.Rules.Scheme, j.sender.Rules.Window
	if scheme.Signed() {
		j.inspection, err = scheme.Inspect(&j.signed, window, j.now)
		return err
	}
	return scheme.CheckHeaderStamps(&j.signed, window, j.now)
}

// lookUpSecrets asks for the secrets as late as that can be done: a request without a
// signature costs nothing.
func (j *Judgement) lookUpSecrets() (refused *Refusal) {
	if j.secrets == nil && !j.namesKey() {
		j.secrets, refused = j.tenant.Secrets()
	}
	return refused
}

// namesKey reports whether the key is fetched by the name that the request gives.
func (j *Judgement) namesKey() bool {
	if !signature.NamesKey(j.sender.Rules.Scheme) {
		return false
	}
	namer, ok := j.tenant.(KeyNamer)
	return ok && namer.NamesKeys()
}

// verifyByNamed verifies the signature with the key that the request names, once the body is
// there.
func (j *Judgement) verifyByNamed() (refused *Refusal) {
	scheme, window, namer := j.sender.Rules.Scheme, j.sender.Rules.Window, j.tenant.(KeyNamer)
	name, err := signature.KeyName(scheme, &j.inspection, &j.signed, window, j.now)
	if err != nil {
		return refuseVerdict(err)
	}
	if j.secrets, refused = namer.NamedKeys(name); refused != nil {
		return refused
	}
	err = j.authenticate()
	namer.JudgedByNamed(name, err == nil)
	if err != nil {
		return refuseVerdict(err)
	}
	return nil
}

// matchToken compares the token with each secret in force.
func (j *Judgement) matchToken() *Refusal {
	if refused := j.lookUpSecrets(); refused != nil {
		return refused
	}
	index, refused := j.sender.token.match(&j.signed, j.secrets, j.now)
	j.verdict.Secret = index
	return refused
}

// Authenticate judges the whole request, of which the body is there now. A slow upload
// does not make a stamp stale: now is when the request arrived.
func (j *Judgement) Authenticate(data []byte) *Refusal {
	j.signed.Body = data
	s := j.sender
	if s.token != nil && s.token.InBody() {
		if refused := j.matchToken(); refused != nil {
			return refused
		}
	}
	if refused := j.verify(); refused != nil {
		return refused
	}
	j.signed = j.verdict.AsSigned(s.Rules.Scheme, j.signed)
	return nil
}

// verify judges the signature, or the stamps where there is none.
func (j *Judgement) verify() *Refusal {
	scheme, window := j.sender.Rules.Scheme, j.sender.Rules.Window
	var err error
	switch {
	case !scheme.Signed():
		matched := j.verdict.Secret // by the token
		j.verdict, err = scheme.CheckStamps(&j.signed, window, j.now)
		j.verdict.Secret = matched
	case j.namesKey():
		return j.verifyByNamed()
	default:
		if err = j.authenticate(); err != nil {
			return j.verifyByNewer(err)
		}
	}
	if err != nil {
		return refuseVerdict(err)
	}
	return nil
}

// authenticate verifies the signature with the secrets.
func (j *Judgement) authenticate() (err error) {
	rules := j.sender.Rules
	j.verdict, err = rules.Scheme.Authenticate(&j.inspection, &j.signed, j.secrets, rules.Window, j.now)
	return err
}

// verifyByNewer tries keys that are newer than those with which it failed, where one of them
// could have signed the request.
func (j *Judgement) verifyByNewer(err error) *Refusal {
	finder, ok := j.tenant.(KeyFinder)
	failed := otherKey(err)
	if failed == nil || !ok {
		return refuseVerdict(err)
	}
	keys, refused := finder.FindKeys(j.secrets, failed.KeyNamed)
	if len(keys) > 0 {
		j.secrets = keys
		err = j.authenticate()
	}
	switch {
	case err == nil:
		return nil
	case refused != nil && otherKey(err) != nil:
		return refused
	}
	return refuseVerdict(err)
}

// otherKey is the error of a request that another key could have signed; nil for any other.
func otherKey(err error) *signature.Error {
	var verdict *signature.Error
	if !errors.As(err, &verdict) || !verdict.OtherKey {
		return nil
	}
	return verdict
}

// Identify names an authenticated event, in the namespace that it belongs to.
func (j *Judgement) Identify(e *Event) *Refusal {
	found, err := j.sender.identity.read(&j.signed, j.verdict.Parts)
	if err != nil {
		return &Refusal{IDMalformed, err}
	}
	e.Provider, e.ID, e.Type, e.Header = j.sender.Name, found.id, found.event, j.signed.Header
	e.parts = j.sender.identity.parts()
	j.Times(e)
	e.Covered = j.sender.identity.covered(&found, e)
	scope, refused := j.tenant.Scope()
	if refused != nil {
		return refused
	}
	e.Scope, e.Keys = scope, j.sender.identity.keys(scope, &found, &j.signed, &j.verdict)
	return nil
}

// KeysIn are the keys that an identified event has in another namespace.
func (j *Judgement) KeysIn(scope string, e *Event) dedupe.Event {
	return j.sender.identity.keys(scope, &names{id: e.ID, signed: e.Covered.ID}, &j.signed, &j.verdict)
}

// Times sets the event's times and which secret matched, as soon as it is authenticated.
func (j *Judgement) Times(e *Event) {
	e.Sent, e.Occurred, e.Secret = j.verdict.Time, j.verdict.EventTime, j.verdict.Secret
}
