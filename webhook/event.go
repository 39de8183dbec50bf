package webhook

import (
	"slices"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

// Event is one event of a sender, verified, as one request brought it.
type Event struct {
	// Provider is the sender's name, Scope the namespace of its IDs.
	Provider, Scope string

	// ID has the parts of the event's ID; nil where it has none.
	ID []string

	// Type is the event's type; "" where it has none.
	Type string

	// Sent is the request's stamp, Occurred the event's own time. Both are zero where
	// the sender says nothing.
	Sent, Occurred time.Time

	// Secret is the index of the secret that matched.
	Secret int

	// Covered says which of the names and times above the signature covers.
	Covered Covered

	// Keys are what the event is remembered by; zero where nothing identifies it.
	Keys dedupe.Event

	// Header has the request's headers, as they were sent.
	Header map[string][]string

	// parts is how many parts an ID of the sender has at most.
	parts int
	body  *body.Body
}

// Own gives the event its body. The previous body's owner has dropped it.
func (e *Event) Own(b *body.Body) { e.body = b }

// Owned is the memory that holds the event's body; nil where there is none.
func (e *Event) Owned() *body.Body { return e.body }

// Body is the event's body, until Release.
func (e *Event) Body() []byte {
	if e.body == nil {
		return nil
	}
	return e.body.Bytes()
}

// Release gives the memory of the event's body back.
func (e *Event) Release() {
	if e.body != nil {
		e.body.Drop()
		e.body = nil
	}
}

// When is the event's own time, or else its request's; zero where neither is known.
func (e *Event) When() time.Time {
	if !e.Occurred.IsZero() {
		return e.Occurred
	}
	return e.Sent
}

// Covered is what of an event its signature covers, so that nobody else can have written
// it. What an event does not have is not covered.
type Covered struct{ ID, Type, Time bool }

// String names what is covered, in the words of the header Webhook-Guard-Signed.
func (c Covered) String() string {
	i := 0
	for _, covered := range []bool{c.ID, c.Type, c.Time} {
		i <<= 1
		if covered {
			i++
		}
	}
	return [...]string{"", "time", "event", "event time", "id", "id time", "id event", "id event time"}[i]
}

// JoinedID is the ID as apps see it: its parts joined by colons. No two IDs of one sender
// look the same: colons inside of parts are escaped, but for the last part of the longest
// ID, which is often a time.
func (e *Event) JoinedID() string {
	return e.JoinID(func(part string) string { return part }, escapeID.Replace)
}

// JoinID is JoinedID with other ways to write the parts: in last a colon stays, in inner
// it is escaped.
func (e *Event) JoinID(last, inner func(string) string) string {
	if len(e.ID) == 1 && e.parts <= 1 {
		return last(e.ID[0])
	}
	parts := slices.Clone(e.ID)
	for i := range parts {
		if i+1 < max(e.parts, len(parts)) {
			parts[i] = inner(parts[i])
		} else {
			parts[i] = last(parts[i])
		}
	}
	return strings.Join(parts, ":")
}

// escapeID and unescapeID keep the colons inside a part apart from those between parts.
var (
	escapeID   = strings.NewReplacer("%", "%25", ":", "%3A")
	unescapeID = strings.NewReplacer("%25", "%", "%3A", ":", "%3a", ":")
)

// FormatID writes an ID as logs and the admin API have it: its parts joined by colons,
// where a colon inside a part is %3A and a percent sign is %25.
func FormatID(id []string) string {
	parts := make([]string, len(id))
	for i, part := range id {
		parts[i] = escapeID.Replace(part)
	}
	return strings.Join(parts, ":")
}

// ParseID reads what [FormatID] writes.
func ParseID(text string) []string {
	parts := strings.Split(text, ":")
	for i, part := range parts {
		parts[i] = unescapeID.Replace(part)
	}
	return parts
}
