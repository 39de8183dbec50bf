package webhook

import (
	"errors"
	"unicode/utf8"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// MaxIDBytes bounds one part of an event ID.
const MaxIDBytes = 1 << 10

// errIDMalformed is why an ID cannot name an event.
var errIDMalformed = errors.New("the event ID is not one string or number of at most 1 KiB")

// identity says what a sender's events are called and what makes two deliveries the
// same.
type identity struct {
	id       []signature.Source
	idSigned bool

	event       *signature.Source
	eventSigned bool

	contentOff bool
	content    *signature.Template // nil: the default
	params     map[string]string   // of the template
}

// names are what one request says of its event.
type names struct {
	id    []string // its parts; nil where it is missing
	event string   // its type; "" where there is none

	// content has the bytes that tell copies apart, to be digested as separate parts;
	// nil where the ID alone does, and where there are none.
	content [][]byte
}

func newIdentity(rules *config.Resolved) identity {
	scheme := rules.Scheme
	return identity{
		id: scheme.Spec().ID, idSigned: rules.IDSigned(),
		event: rules.Event, eventSigned: rules.Event != nil && scheme.Covers(*rules.Event),
		contentOff: rules.ContentOff, content: rules.Content, params: scheme.Spec().Params,
	}
}

// read takes the event's names from an authenticated request. It returns errIDMalformed
// where the ID is there but cannot be one.
func (i *identity) read(r *signature.Request, parts signature.Parts) (names, error) {
	var found names
	var err error
	if found.id, err = i.readID(r, parts); err != nil {
		return names{}, err
	}
	found.event = i.readEvent(r, parts)
	if i.contentOff || (found.id != nil && i.idSigned) {
		return found, nil
	}
	found.content = i.readContent(r, parts, found.event)
	return found, nil
}

func (i *identity) readID(r *signature.Request, parts signature.Parts) ([]string, error) {
	id := make([]string, 0, len(i.id))
	for _, source := range i.id {
		value := source.Read(r, parts)
		switch {
		case value.Bad, value.Repeated, len(value.Text) > MaxIDBytes:
			return nil, errIDMalformed
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
func (i *identity) readEvent(r *signature.Request, parts signature.Parts) string {
	if i.event == nil {
		return ""
	}
	value := i.event.Read(r, parts)
	if value.Bad || value.Repeated || len(value.Text) > MaxIDBytes || !utf8.ValidString(value.Text) {
		return ""
	}
	return value.Text
}

// readContent returns nil where there is nothing that could tell two events apart: no
// two events may ever share an "empty" key.
func (i *identity) readContent(r *signature.Request, parts signature.Parts, event string) [][]byte {
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

// keys digests the names into what the event is remembered by.
func (n *names) keys(scope string) dedupe.Event {
	keys := dedupe.Event{ID: IDKey(scope, n.id)}
	if n.content != nil {
		keys.Content = dedupe.NewKey("content", append([][]byte{[]byte(scope)}, n.content...)...)
	}
	return keys
}

// IDKey is the key of an ID in its namespace; zero for an event without an ID.
func IDKey(scope string, id []string) dedupe.Key {
	if len(id) == 0 {
		return dedupe.Key{}
	}
	parts := make([][]byte, 0, len(id)+1)
	parts = append(parts, []byte(scope))
	for _, part := range id {
		parts = append(parts, []byte(part))
	}
	return dedupe.NewKey("id", parts...)
}
