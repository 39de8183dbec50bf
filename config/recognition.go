package config

import (
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Recognition says how a sender's retries and replays are recognised, and what is not. All
// of it is derived from the rules.
type Recognition struct {
	// Retry is what makes a request a retry of an event that is known.
	Retry string `json:"retry"`

	// Replay is what makes a request a captured one that is sent again.
	Replay string `json:"replay"`

	// StaysOpen is what passes all the same: `nothing` where nothing does.
	StaysOpen string `json:"stays_open"`

	Opening Opening `json:"-"`
}

// Opening is what lets a captured request through.
type Opening struct {
	// Forged means that whoever has the token, or anyone where there is none, can send
	// any request at all.
	Forged bool

	// AsItIs means that the captured request passes as it was sent.
	AsItIs bool

	// Under are the unsigned parts that a captured request passes with once they are
	// changed, together with the ID where that is not signed either.
	Under []signature.Source

	// Without is the signed ID that closes it for the requests that have that.
	Without []signature.Source

	// Body means that the signature of an event that has not arrived yet can stand beside
	// another body.
	Body bool

	// Borders are the places in what is signed that nothing fixes: of a request that has
	// not arrived yet, characters can be moved over them.
	Borders []string

	// For is how long it passes after it was sent: zero is without an end.
	For time.Duration

	// Timeless is the source of an event's time that may be missing. A captured request
	// without it passes once it is forgotten, where nothing else passes.
	Timeless signature.Source

	// After is when a captured request is forgotten and passes, if nothing else lets it
	// through; zero is never.
	After time.Duration
}

// Recognition derives how the sender's copies are recognised.
func (r *Resolved) Recognition() Recognition {
	rec := Recognition{Opening: r.opening()}
	rec.Retry, rec.Replay = r.retry(), r.replay()
	rec.StaysOpen = rec.Opening.words(r)
	return rec
}

func (r *Resolved) retry() string {
	var by []string
	if len(r.ID) > 0 {
		by = append(by, "its ID")
	}
	switch {
	case r.Copies == CopiesByTemplate:
		by = append(by, "the text of its content line"+wholeBatch(r.Content))
	case r.Copies == CopiesByEvent:
		by = append(by, r.signedEvent())
	case len(by) > 0:
	case r.Copies == CopiesByID:
		return "nothing: each copy reaches the app"
	case r.FreshPerAttempt():
		return "what is signed, the stamp included: a retry with a new stamp reaches the app again"
	default:
		by = append(by, allSigned)
	}
	return strings.Join(by, ", or ")
}

// wholeBatch says of a content line that names each element of a list that it is about all of
// them: a sender that puts one of them into another batch sends another event.
func wholeBatch(content *signature.Template) string {
	if len(content.Reads().Each) == 0 {
		return ""
	}
	return ", for the batch as a whole: an element that is sent again in another one reaches the app again"
}

func (r *Resolved) replay() string {
	switch {
	case !r.Scheme.Signed():
		return "nothing"
	case r.IDSigned():
		return "its ID"
	case r.Copies == CopiesByTemplate:
		return "the text of its content line"
	case r.Copies == CopiesByEvent:
		return r.signedEvent()
	case r.Copies == CopiesBySigned:
		return allSigned
	case slices.ContainsFunc(r.ID, func(id EventID) bool { return id.Named }):
		return "what is signed, where that names the event; elsewhere its ID, unless that is changed"
	case len(r.ID) > 0:
		return "its ID, unless that is changed"
	}
	return "nothing"
}

const allSigned = "what is signed"

// signedEvent names what is signed, without the attempt's stamp.
func (r *Resolved) signedEvent() string {
	if r.stampSigned() && r.FreshPerAttempt() {
		return allSigned + " but the stamp"
	}
	return allSigned
}

// FreshPerAttempt reports whether something under the signature is new on each attempt: a
// signed stamp of the attempt, or a token with its own times.
func (r *Resolved) FreshPerAttempt() bool {
	spec := r.Scheme.Spec()
	return spec.Named == "jwt" || r.stampSigned() && spec.Timestamp.Renewed()
}

func (r *Resolved) stampSigned() bool {
	stamp := r.Scheme.Spec().Timestamp
	return stamp != nil && r.Scheme.Covers(stamp.Source)
}

func (r *Resolved) opening() Opening {
	if !r.Scheme.Signed() {
		return Opening{Forged: true}
	}
	o := Opening{Borders: signature.OpenBorders(r.Scheme), Body: !r.Scheme.CoversBody()}
	switch {
	case r.IDSigned():
		if o.AsItIs = !r.NeedsID && r.Copies == CopiesByID; o.AsItIs {
			for _, id := range r.ID {
				o.Without = append(o.Without, id.Sources...)
			}
		}
	case r.Copies == CopiesByTemplate:
		o.Under = r.unsigned()
	case r.Copies == CopiesByID:
		o.AsItIs = len(r.ID) == 0
		for _, id := range r.ID {
			if id.Signed || id.Named {
				o.Without = append(o.Without, id.Sources...)
			} else {
				o.Under = append(o.Under, id.Sources...)
			}
		}
	}
	switch {
	case r.stampSigned():
		o.For = r.Window.MaxAge
	case r.Scheme.Spec().EventTime != nil && r.Scheme.Covers(r.Scheme.Spec().EventTime.Source):
		o.For = r.DedupeTTL
		if event := r.Scheme.Spec().EventTime; event.Optional && !o.open() {
			o.Timeless = event.Source
		}
	case !o.open():
		o.After = r.DedupeTTL
	}
	return o
}

// unsigned are the parts of the content line's text that are not signed.
func (r *Resolved) unsigned() []signature.Source {
	reads := r.Content.Reads()
	parts := slices.Concat(reads.Sources, reads.Each)
	if reads.Body {
		parts = append(parts, signature.Source{Kind: signature.SourceBody})
	}
	return slices.DeleteFunc(parts, func(part signature.Source) bool {
		if part == (signature.Source{Kind: signature.SourceBody}) {
			return r.Scheme.CoversBody()
		}
		return r.Scheme.Covers(part)
	})
}

// open reports whether anything but time lets a captured request through.
func (o Opening) open() bool { return o.Forged || o.AsItIs || len(o.Under) > 0 }

func (o Opening) words(r *Resolved) string {
	switch {
	case o.Forged && r.Token != nil:
		return "whoever has the token can send anything"
	case o.Forged:
		return "anyone can send anything"
	}
	var with []string
	switch {
	case o.After > 0:
		with = append(with, "a captured request after "+durationText(caddy.Duration(o.After)))
	case o.AsItIs:
		with = append(with, "a captured request")
	case len(o.Under) > 0 && r.Copies == CopiesByID:
		with = append(with, "a captured request under another ID")
	case len(o.Under) > 0:
		with = append(with, "a captured request with another "+shortSources(o.Under))
	}
	text := strings.Join(with, ", and ")
	if len(o.Without) > 0 {
		text += ", where it has no " + shortSources(o.Without)
	}
	if o.Timeless != (signature.Source{}) {
		text = "a captured request without " + o.Timeless.String() + " after " + durationText(caddy.Duration(r.DedupeTTL))
	} else if o.For > 0 && len(with) > 0 {
		text += ", for " + durationText(caddy.Duration(o.For))
	}
	other := otherBody
	if r.Scheme.Spec().Named == "jwt" {
		other = anyBody
	}
	parts := []string{text, "", o.borders()}
	if o.Body {
		parts[1] = other
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, "; ")
}

// borders says over which borders characters can be moved.
func (o Opening) borders() string {
	switch n := len(o.Borders); {
	case n == 0:
		return ""
	case n > 2:
		return "characters moved between the signed values, " + beforeArrival
	default:
		return "characters moved between " + strings.Join(o.Borders, ", or ") + ", " + beforeArrival
	}
}

const beforeArrival = "where that signature has not arrived yet"

const (
	otherBody = "another body beside a signature that has not arrived yet"
	anyBody   = "whoever has a token of the sender can send any body with it"
)

// shortSources names sources without their kind where it is a header.
func shortSources(sources []signature.Source) string {
	var words []string
	for _, source := range sources {
		word := source.String()
		if source.Kind == signature.SourceHeader {
			word = source.Name
		}
		words = append(words, word)
	}
	return strings.Join(words, " and ")
}
