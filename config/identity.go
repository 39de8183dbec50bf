package config

import (
	"errors"
	"unicode/utf8"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// MaxIDBytes bounds one part of an event ID.
const MaxIDBytes = 1 << 10

// ErrIDMalformed is returned for an ID that cannot name an event.
var ErrIDMalformed = errors.New("the event ID is not one string or number of at most 1 KiB")

// Identity says what a sender's events are called and what makes two deliveries
// the same.
type Identity struct {
	id       []signature.Source
	idSigned bool

	event       *signature.Source
	eventSigned bool

	contentOff bool
	content    *signature.Template // nil: the default
	params     map[string]string   // of the template
}

// Identified is what one request says about its event.
type Identified struct {
	// The parts of the ID; nil when it is missing.
	ID []string

	// The event's type; "" when there is none.
	Event string

	// The bytes that tell copies apart, to be digested as separate parts; nil
	// where the ID alone does, and where there are none.
	Content [][]byte
}

func newIdentity(p Provider, scheme *signature.Scheme) (Identity, error) {
	ident := Identity{id: scheme.Spec().ID, idSigned: len(p.ID) > 0, contentOff: p.Content == "off", params: p.Param}
	for _, source := range ident.id {
		ident.idSigned = ident.idSigned && scheme.Covers(source)
	}
	if source := p.Event; source != (signature.Source{}) {
		if err := source.Check(); err != nil {
			return ident, lineError("event", "%w", err)
		}
		ident.event, ident.eventSigned = &source, scheme.Covers(source)
	}
	if p.Content != "" && !ident.contentOff {
		template, err := signature.ParseTemplate(p.Content)
		if err != nil {
			return ident, lineError("content", "%w", err)
		}
		ident.content = template
	}
	return ident, nil
}

// IDSigned reports whether the ID is under the signature. Derived from the
// scheme; false where there is no ID.
func (i Identity) IDSigned() bool { return i.idSigned }

// Identify reads the event's names from an authenticated request. It returns
// [ErrIDMalformed] where the ID is there but cannot be one.
func (i Identity) Identify(r *signature.Request, parts signature.Parts) (Identified, error) {
	var found Identified
	var err error
	if found.ID, err = i.readID(r, parts); err != nil {
		return Identified{}, err
	}
	found.Event = i.readEvent(r, parts)
	if i.contentOff || (found.ID != nil && i.idSigned) {
		return found, nil
	}
	found.Content = i.readContent(r, parts, found.Event)
	return found, nil
}

func (i Identity) readID(r *signature.Request, parts signature.Parts) ([]string, error) {
	id := make([]string, 0, len(i.id))
	for _, source := range i.id {
		value := source.Read(r, parts)
		switch {
		case value.Bad, value.Repeated, len(value.Text) > MaxIDBytes:
			return nil, ErrIDMalformed
		case !value.Found, value.Text == "":
			return nil, nil // a missing part is a missing ID
		}
		id = append(id, value.Text)
	}
	if len(id) == 0 {
		return nil, nil
	}
	return id, nil
}

// readEvent is lenient: the type routes and labels, it decides nothing.
func (i Identity) readEvent(r *signature.Request, parts signature.Parts) string {
	if i.event == nil {
		return ""
	}
	value := i.event.Read(r, parts)
	if value.Bad || value.Repeated || len(value.Text) > MaxIDBytes || !utf8.ValidString(value.Text) {
		return ""
	}
	return value.Text
}

// readContent returns nil where there is nothing that could tell two events
// apart: no two events may ever share an "empty" key.
func (i Identity) readContent(r *signature.Request, parts signature.Parts, event string) [][]byte {
	if i.content != nil {
		bytes, err := i.content.Append(nil, r, parts, i.params)
		if err != nil || len(bytes) == 0 {
			return nil
		}
		return [][]byte{bytes}
	}
	if len(r.Body) == 0 {
		return nil
	}
	if i.event != nil && !i.eventSigned {
		// Shopify sends one order's body under several topics, and the topic
		// travels in a header that is not signed.
		return [][]byte{r.Body, []byte(event)}
	}
	return [][]byte{r.Body}
}
