package webhook

import (
	"errors"
	"fmt"
	"hash"
	"slices"
	"unicode/utf8"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// MaxIDBytes bounds one part of an event ID.
const MaxIDBytes = 1 << 10

var (
	// errIDMalformed is why an ID cannot name an event.
	errIDMalformed = errors.New("the event ID is not one string or number of at most 1 KiB")

	// errIDMissing is why an event has no ID that it should have.
	errIDMissing = errors.New("the event has no ID where the sender signs one; if the sender leaves it out of some, write optional at the end of the id line")

	// errIDEncoded is why nothing is found in a body that the app would have to unpack first.
	errIDEncoded = fmt.Errorf("%w; here the body has a Content-Encoding, and nothing is read out of such a body", errIDMissing)

	// errTypeRepeated is why an event has no one type: the app might read the other.
	errTypeRepeated = errors.New("the event's type was sent more than once")
)

// identity decides which events are the same. Two questions have two keys, which are
// never mixed up. The ID key decides whether this is a retry: the sender repeats its ID
// on retries and on nothing else. The other key decides whether it is a captured request
// sent again. It is made only of what the signature covers, which nobody else can
// change.
type identity struct {
	ids    []config.EventID
	event  *signature.Source
	scheme *signature.Scheme
	signed struct{ event, occurred, sent bool } // whether the signature covers it

	copies  config.Copies
	content *signature.Template
	needed  bool // an event without an ID is malformed
	fresh   bool // what the signature covers is new on each attempt
	differs bool // what the signature covers differs from event to event
}

// names are the names of one request's event.
type names struct {
	id     []string // its parts; nil where it is missing
	signed bool     // the whole ID is under the signature
	event  string   // its type; "" where there is none
}

func newIdentity(rules *config.Resolved) identity {
	i := identity{
		ids: rules.ID, needed: rules.NeedsID, event: rules.Event, scheme: rules.Scheme,
		copies: rules.Copies, content: rules.Content, fresh: rules.FreshPerAttempt(),
		differs: rules.SignedDiffers,
	}
	spec := rules.Scheme.Spec()
	i.signed.event = rules.Event != nil && rules.Scheme.Covers(*rules.Event)
	i.signed.occurred = spec.EventTime != nil && rules.Scheme.Covers(spec.EventTime.Source)
	i.signed.sent = spec.Timestamp != nil && rules.Scheme.Covers(spec.Timestamp.Source)
	return i
}

// covered is what the signature covers of an event's names and of its time, which is the
// event's own where it has one.
func (i *identity) covered(found *names, e *Event) Covered {
	c := Covered{ID: found.id != nil && found.signed, Type: found.event != "" && i.signed.event}
	switch {
	case !e.Occurred.IsZero():
		c.Time = i.signed.occurred
	case !e.Sent.IsZero():
		c.Time = i.signed.sent
	}
	return c
}

// read takes the event's names from an authenticated request. It returns errIDMalformed
// where an ID is there but cannot be one, errIDMissing or errIDEncoded where one should be, and errTypeRepeated where there are two types.
func (i *identity) read(r *signature.Request, parts signature.Parts) (names, error) {
	event, repeated := i.readEvent(r, parts)
	if repeated {
		return names{}, errTypeRepeated
	}
	found := names{event: event}
	for _, id := range i.ids {
		var err error
		if found.id, err = readID(id.Sources, r, parts); err != nil {
			return names{}, err
		}
		if found.id != nil {
			found.signed = id.Signed
			break
		}
	}
	if found.id == nil && i.needed {
		if r.Encoded() {
			return names{}, errIDEncoded
		}
		return names{}, errIDMissing
	}
	return found, nil
}

// parts is how many parts an ID has at most.
func (i *identity) parts() (most int) {
	for _, id := range i.ids {
		most = max(most, len(id.Sources))
	}
	return most
}

func readID(sources []signature.Source, r *signature.Request, parts signature.Parts) ([]string, error) {
	id := make([]string, 0, len(sources))
	for _, source := range sources {
		value := source.Read(r, parts)
		switch {
		case value.Bad, value.Repeated, len(value.Text) > MaxIDBytes:
			return nil, errIDMalformed
		case !value.Found, value.Text == "":
			return nil, nil // a missing part is a missing ID
		}
		id = append(id, value.Text)
	}
	return id, nil
}

// readEvent is lenient: the type is used for routes and labels only.
func (i *identity) readEvent(r *signature.Request, parts signature.Parts) (event string, repeated bool) {
	if i.event == nil {
		return "", false
	}
	value := i.event.Read(r, parts)
	if value.Bad || len(value.Text) > MaxIDBytes || !utf8.ValidString(value.Text) {
		return "", value.Repeated
	}
	return value.Text, value.Repeated
}

// keys digests what the event is remembered by. A signed ID is enough by itself: whoever
// sends a captured request again cannot change it.
func (i *identity) keys(scope string, found *names, r *signature.Request, verdict *signature.Verdict) dedupe.Event {
	keys := dedupe.Event{ID: IDKey(scope, found.id)}
	if found.id == nil || !found.signed {
		keys.Content = i.copyKey(scope, r, verdict)
	}
	return keys
}

// copyKey is the key of what makes a request a copy where its ID does not settle it.
func (i *identity) copyKey(scope string, r *signature.Request, verdict *signature.Verdict) dedupe.Key {
	switch i.copies {
	case config.CopiesByID:
		// An event that has a name in what is signed is new there, whatever the name is
		// made to look like.
		if slices.ContainsFunc(i.ids, func(id config.EventID) bool { return id.Named && verdict.SignedHolds(i.scheme, r, id.Sources) }) {
			return i.hash("replay", scope, r, verdict, (*signature.Verdict).HashSigned)
		}
	case config.CopiesByTemplate:
		text, err := i.content.Append(nil, r, verdict.Parts, i.scheme.Spec().Params)
		if err == nil && len(text) > 0 {
			return dedupe.NewKey("content", []byte(scope), text)
		}
		// The sender's other events have no such fields. The signed bytes still distinguish
		// them, as a rule.
		if !i.differs {
			return dedupe.Key{}
		}
		return i.hash("replay", scope, r, verdict, (*signature.Verdict).HashSigned)
	case config.CopiesBySigned:
		return i.hash("replay", scope, r, verdict, (*signature.Verdict).HashSigned)
	case config.CopiesByEvent:
		switch {
		case len(r.Body) > 0:
			return i.hash("event", scope, r, verdict, (*signature.Verdict).HashEvent)
		case i.fresh:
			return i.hash("replay", scope, r, verdict, (*signature.Verdict).HashSigned)
		}
		// No two events ever share an empty key.
	}
	return dedupe.Key{}
}

// tellsConflicts reports whether another copy key under a known ID means other content.
// Where the key includes the attempt's own stamp, every retry has a new one.
func (i *identity) tellsConflicts() bool { return i.copies != config.CopiesBySigned || !i.fresh }

// hashFunc writes what a key is made of.
type hashFunc = func(*signature.Verdict, *signature.Scheme, hash.Hash, *signature.Request) error

func (i *identity) hash(kind, scope string, r *signature.Request, verdict *signature.Verdict, write hashFunc) dedupe.Key {
	h := dedupe.StartKey(kind, []byte(scope))
	if err := write(verdict, i.scheme, h, r); err != nil {
		return dedupe.Key{} // it was under the signature a moment ago, so this does not happen
	}
	return dedupe.KeyOf(h)
}

// IDKey is the key of an ID in its namespace; zero for an event without an ID.
func IDKey(scope string, id []string) dedupe.Key {
	if len(id) == 0 {
		return dedupe.Key{}
	}
	return dedupe.TextKey("id", append([]string{scope}, id...)...)
}
