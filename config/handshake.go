package config

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// handshakeOff is the word for leaving the sender's check of the endpoint to the app.
const handshakeOff = "off"

// Handshake describes how a sender checks an endpoint before it sends events, and
// what the guard replies. The first check that matches a request decides.
type Handshake struct {
	Kind   string
	Checks []Check

	// Argument is the last word of the line, with its placeholders: the token that
	// the sender sends with its check, or a word that the reply contains.
	Argument string

	// Payload is the payload of the kind; see [HandshakeKind].
	Payload signature.Source
}

// Check describes a request that checks the endpoint instead of delivering an
// event, and the reply to it. What is echoed or signed is a short text of harmless
// characters. A reply is plain text or JSON, never anything that a browser runs.
type Check struct {
	Methods []string

	// When lists what must hold of a request for it to be this check.
	When []Condition

	// Proof is what the request must prove to get a reply.
	Proof Proof

	// Token is where the handshake's argument is in the request, with ProofToken.
	Token signature.Source

	// Challenge is the text that the sender wants back, if any. Bound limits it.
	Challenge signature.Source
	Bound     Bound

	// Secret reports whether logs must not show the challenge.
	Secret bool

	// MAC signs the challenge with the sender's secret; nil where the reply holds no
	// signature.
	MAC *MAC

	// Confirm is the kind of a request by which the guard confirms the endpoint before it
	// replies; "" where the reply does.
	Confirm string

	// Warning is what the check means, where somebody should know; "" where it is only a
	// check.
	Warning string

	// Digest is the text whose SHA-256, in hex, the reply holds: {challenge}, {argument} and
	// {url}, the URL that is registered with the sender. It is empty where there is none.
	Digest string

	// Reply is what the guard replies.
	Reply Reply
}

// Proof is what a check must prove before it gets a reply.
type Proof int

// The proofs.
const (
	// ProofSignature means that the request is verified as an event is.
	ProofSignature Proof = iota
	// ProofToken means that the request holds the token agreed on with the sender.
	ProofToken
	// ProofNone means that anybody gets a reply. A POST has no signature, or a valid one.
	ProofNone
)

// Condition is something that must hold of a request.
type Condition struct {
	Source signature.Source // none with NoBody
	Is     ConditionKind
	Value  string // with Equal
}

// ConditionKind is what must hold of a condition's source.
type ConditionKind int

// The kinds of conditions.
const (
	// Present means that the source is there.
	Present ConditionKind = iota
	// Absent means that the source is not there.
	Absent
	// Equal means that the source is there once and has the condition's value.
	Equal
	// EmptyList means that the source, a path in the body, is a list without elements
	// or null.
	EmptyList
	// NoBody means that the body is empty, or JSON without members.
	NoBody
)

// MAC says how the challenge is signed.
type MAC struct {
	Algorithm, Encoding string
}

// Reply is what the guard replies to a check. Its texts may contain {challenge}, {mac},
// {digest} and {argument}.
type Reply struct {
	Status  int
	Type    string // of the body
	Body    string
	Headers []ReplyHeader // further ones
}

// ReplyHeader is a header of a reply.
type ReplyHeader struct{ Name, Value string }

// text is all of the reply that may contain placeholders.
func (r Reply) text() string {
	text := r.Body
	for _, header := range r.Headers {
		text += header.Value
	}
	return text
}

// ParseHandshake reads the words of a handshake line. It returns nil for no words
// and for off. Its errors do not contain the argument, which may be a secret.
func ParseHandshake(words []string) (*Handshake, error) {
	h, err := parseHandshakeWords(words)
	if err != nil {
		return nil, lineError("handshake", "%w", err)
	}
	return h, nil
}

func parseHandshakeWords(words []string) (*Handshake, error) {
	if len(words) == 0 {
		return nil, nil
	}
	name, arguments := words[0], words[1:]
	if name == handshakeOff {
		if len(arguments) > 0 {
			return nil, errors.New("off takes no argument")
		}
		return nil, nil
	}
	kind, ok := Handshakes()[name]
	if !ok {
		return nil, fmt.Errorf("unknown kind %q: there are %s, and off", name, strings.Join(HandshakeKinds(), ", "))
	}
	h := &Handshake{Kind: name, Checks: kind.Checks, Payload: kind.Payload}
	if len(kind.Sources) > 0 {
		given, rest, ok := kind.given(arguments)
		if !ok || (len(rest) > 0) != (kind.Argument != "") {
			return nil, fmt.Errorf("write handshake %s, where a source is query <key> or header <name>", kind.Syntax(name))
		}
		h.Checks, arguments = given, rest
	}
	switch {
	case len(arguments) > 1:
		return nil, fmt.Errorf("%s takes one argument at most; quote it if it holds spaces", name)
	case len(arguments) == 1 && kind.Argument == "":
		return nil, fmt.Errorf("%s takes no argument", name)
	case len(arguments) == 1:
		h.Argument = arguments[0]
	}
	return h, nil
}

// given reads the sources that the kind asks for from the front of a line's words
// and returns the kind's checks with them. A GET has no body, so the sources are in
// the query or in a header.
func (k HandshakeKind) given(words []string) (checks []Check, rest []string, ok bool) {
	sources := make(map[string]signature.Source)
	for _, name := range k.Sources {
		source, rest, err := signature.ParseSource(words)
		if err != nil || source.Kind != signature.SourceQuery && source.Kind != signature.SourceHeader {
			return nil, nil, false
		}
		sources[name], words = source, rest
	}
	for _, c := range k.Checks {
		c.When = slices.Clone(c.When)
		for _, source := range c.sources() {
			if source.Kind == SourceGiven {
				*source = sources[source.Name]
			}
		}
		checks = append(checks, c)
	}
	return checks, words, true
}

// sources returns all sources of a check.
func (c *Check) sources() []*signature.Source {
	all := []*signature.Source{&c.Token, &c.Challenge}
	for i := range c.When {
		all = append(all, &c.When[i].Source)
	}
	return all
}

// Syntax returns what follows the word handshake, for the kind of that name.
func (k HandshakeKind) Syntax(name string) string {
	for _, source := range k.Sources {
		name += " <source of the " + source + ">"
	}
	if k.Argument != "" {
		name += " <" + strings.TrimPrefix(k.Argument, "the ") + ">"
	}
	return name
}

// HandshakeKinds lists the kinds in alphabetical order.
func HandshakeKinds() []string { return slices.Sorted(maps.Keys(Handshakes())) }

// Missing names the argument that is needed for a reply and missing; "" where none
// is. This is not an error, since the catalogue knows the kind but not the argument:
// the sender's events are accepted all the same.
func (h *Handshake) Missing() string {
	if h.Argument != "" {
		return ""
	}
	return Handshakes()[h.Kind].Argument
}

// AnswersAnybody reports whether the handshake signs what anybody may send.
func (h *Handshake) AnswersAnybody() bool {
	return slices.ContainsFunc(h.Checks, Check.SignsForAnybody)
}

// SignsForAnybody reports whether the reply is signed without a proof of the sender.
func (c Check) SignsForAnybody() bool { return c.MAC != nil && c.Proof != ProofSignature }

// CheckProvider refuses a handshake that would sign events for strangers. The texts
// that it signs for anybody are no events as long as the provider signs the body
// itself; see package webhook. A digest of the body, a header or a part of the
// body could be such a text.
func (h *Handshake) CheckProvider(p Provider) error {
	if !h.AnswersAnybody() {
		return nil
	}
	payload := h.Payload
	sound := p.Scheme == "" && len(p.SignedFunctions) == 0 && p.Items == "" && (payload.Name == "" || len(p.Signed) > 0)
	for _, text := range p.Signed {
		if payload.Name == "" {
			template, err := signature.ParseSigned(text)
			sound = sound && (err != nil || template.Reads().RawBody) // Resolve refuses what does not parse
		} else {
			sound = sound && text == "{form."+payload.Name+"}"
		}
	}
	if !sound {
		return lineError("handshake", "%s signs what anybody sends, and that could be an event of this provider, which does not sign its {body}: write handshake off", h.Kind)
	}
	return nil
}

// ReadsBody reports whether the body is needed to recognise the check.
func (c Check) ReadsBody() bool { return slices.Contains(c.Methods, http.MethodPost) }

// CheckArgument refuses a resolved argument that cannot be part of the reply.
func (h *Handshake) CheckArgument(text string) error {
	stands := func(c Check) bool { return strings.Contains(c.Reply.text()+c.Digest, "{argument}") }
	if !slices.ContainsFunc(h.Checks, stands) {
		return nil
	}
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return errors.New("handshake: the argument holds a character that is not printable ASCII; is there a line break at its end?")
		}
	}
	return nil
}
