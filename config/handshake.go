package config

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// handshakeOff leaves the sender's check of the endpoint to the app.
const handshakeOff = "off"

// Handshake is how a sender makes sure that an endpoint wants its events, and
// what it gets for an answer. A kind has one check or a few; the first that
// fits a request answers it.
type Handshake struct {
	Kind   string
	Checks []Check

	// Argument is what the kind's line adds, placeholders and all: the token
	// that the sender sends with its check, or a word that the answer holds.
	Argument string
}

// Check is one kind of request that asks for an answer instead of bringing an
// event. What is echoed or signed is a short text of harmless characters, and
// an answer is plain text or JSON and never anything that a browser would run.
type Check struct {
	Methods []string

	// When are what a request must have to be this check.
	When []Condition

	// Proof is who may have it answered.
	Proof Proof

	// Token is where the sender puts the handshake's argument; with ProofToken.
	Token signature.Source

	// Challenge is what the sender wants to see again. None: nothing is.
	Challenge signature.Source
	Bound     Bound

	// Secret: the challenge is one that logs must not show.
	Secret bool

	// MAC has the answer hold the challenge's HMAC under the sender's secret.
	MAC *MAC

	// Reply is the answer.
	Reply Reply
}

// Proof is what a check must prove before it is answered.
type Proof int

// The proofs.
const (
	// ProofSignature: it has passed every check that an event passes.
	ProofSignature Proof = iota
	// ProofToken: it holds the token that was agreed on with the sender.
	ProofToken
	// ProofNone: none. A POST must not have a signature, or a valid one.
	ProofNone
)

// Condition is something about a request.
type Condition struct {
	Source signature.Source
	is     conditionKind
	value  string
}

type conditionKind int

const (
	isThere conditionKind = iota
	isAbsent
	isEqual
	isEmptyList
	isNoContent
)

// Bound limits what is echoed or signed.
type Bound struct {
	text *regexp.Regexp
}

// MAC says how the challenge is signed.
type MAC struct {
	Algorithm, Encoding string
}

// Reply is an answer. Its texts may hold {challenge}, {mac} and {argument}.
type Reply struct {
	Status int
	Type   string // of the body
	Body   string
	Header string // a header of the answer, and what it holds
	Value  string
}

// The content types of replies. Browsers sniff neither: nosniff goes with them.
const (
	plainText = "text/plain; charset=utf-8"
	jsonText  = "application/json"
)

// ParseHandshake reads the words of a handshake line, and nil for none or off.
// Its errors hold no argument: that may be a secret.
func ParseHandshake(words []string) (*Handshake, error) {
	if len(words) == 0 {
		return nil, nil
	}
	name, arguments := words[0], words[1:]
	if name == handshakeOff {
		if len(arguments) > 0 {
			return nil, errors.New("handshake: off takes no argument")
		}
		return nil, nil
	}
	kind, ok := handshakes[name]
	if !ok {
		return nil, lineError("handshake", "unknown kind %q: there are %s, and off", name, strings.Join(HandshakeKinds(), ", "))
	}
	h := &Handshake{Kind: name, Checks: kind.checks}
	switch {
	case len(arguments) > 1:
		return nil, lineError("handshake", "%s takes one argument at most; quote it if it holds spaces", name)
	case len(arguments) == 1 && kind.argument == "":
		return nil, lineError("handshake", "%s takes no argument", name)
	case len(arguments) == 1:
		h.Argument = arguments[0]
	}
	return h, nil
}

// HandshakeKinds lists the kinds in alphabetical order.
func HandshakeKinds() []string { return slices.Sorted(maps.Keys(handshakes)) }

// Missing names the argument that the handshake cannot be answered without; ""
// where nothing is missing. The catalogue knows the kind but not the argument,
// so this is no error: the sender's events can be taken all the same.
func (h *Handshake) Missing() string {
	if h.Argument != "" {
		return ""
	}
	return handshakes[h.Kind].argument
}

// AnswersAnybody reports whether it signs what anybody may send.
func (h *Handshake) AnswersAnybody() bool {
	return slices.ContainsFunc(h.Checks, Check.signsForAnybody)
}

func (c Check) signsForAnybody() bool { return c.MAC != nil && c.Proof != ProofSignature }

// signsBody finds the whole body, as it is, in a template.
var signsBody = regexp.MustCompile(`\{(http\.request\.)?body\}`)

// CheckProvider refuses a handshake that would sign events for strangers. The
// texts that it signs for anybody are no events, as long as what the provider
// signs holds the body itself: see Forgeable. A body's digest, a header or a part
// of the body could be such a text.
func (h *Handshake) CheckProvider(p Provider) error {
	if !h.AnswersAnybody() {
		return nil
	}
	payload := handshakes[h.Kind].payload
	sound := p.Scheme == "" && len(p.SignedFunctions) == 0 && p.Items == "" && (payload.Name == "" || len(p.Signed) > 0)
	for _, template := range p.Signed {
		if payload.Name == "" {
			sound = sound && signsBody.MatchString(template)
		} else {
			sound = sound && template == "{form."+payload.Name+"}"
		}
	}
	if !sound {
		return lineError("handshake", "%s signs what anybody sends, and that could be an event of this provider, which does not sign its {body}: write handshake off", h.Kind)
	}
	return nil
}

// Forgeable reports whether what an event signs is, or ends in, a text that the
// handshake signs for anybody. Its signature proves nothing then. No sender's
// event is such a text: JSON objects, and XML in base64, have other characters.
func (h *Handshake) Forgeable(r *signature.Request) bool {
	if !h.AnswersAnybody() {
		return false
	}
	signed := string(r.Body)
	if payload := handshakes[h.Kind].payload; payload.Name != "" {
		signed = payload.Read(r, signature.Parts{}).Text
	}
	// The empty text too: what is signed before the body may be the sender's choice.
	return signed == "" || slices.ContainsFunc(h.Checks, func(c Check) bool {
		return c.signsForAnybody() && c.Bound.text.MatchString(signed)
	})
}

// Matches reports whether a request is the check.
func (c Check) Matches(r *signature.Request) bool {
	return slices.Contains(c.Methods, r.Method) &&
		!slices.ContainsFunc(c.When, func(w Condition) bool { return !w.holds(r) })
}

// Read returns the check's challenge. It is false for one that must not be
// echoed or signed: the request is none of the sender's checks then.
func (c Check) Read(r *signature.Request) (string, bool) {
	if c.Challenge.Kind == "" {
		return "", true
	}
	v := c.Challenge.Read(r, signature.Parts{})
	return v.Text, v.Found && !v.Bad && !v.Repeated && c.Bound.text.MatchString(v.Text)
}

// Fill puts the parts of an answer into one of its texts.
func (r Reply) Fill(text, challenge, mac, argument string) string {
	return strings.NewReplacer("{challenge}", challenge, "{mac}", mac, "{argument}", argument).Replace(text)
}

func (c Condition) holds(r *signature.Request) bool {
	switch c.is {
	case isEmptyList:
		list := gjson.GetBytes(r.Body, c.Source.Name)
		return list.Raw == "null" || list.IsArray() && strings.TrimSpace(list.Raw[1:len(list.Raw)-1]) == ""
	case isNoContent:
		text := string(bytes.TrimSpace(r.Body))
		return text == "" || text == "{}" || text == "[]"
	}
	v := c.Source.Read(r, signature.Parts{})
	switch c.is {
	case isAbsent:
		return !v.Found && !v.Bad
	case isEqual:
		return v.Found && !v.Bad && !v.Repeated && v.Text == c.value
	}
	return v.Found
}

// ReadsBody reports whether it takes a body to recognise the check.
func (c Check) ReadsBody() bool { return slices.Contains(c.Methods, http.MethodPost) }

// CheckArgument refuses a resolved argument that cannot stand in the answer.
func (h *Handshake) CheckArgument(text string) error {
	stands := func(c Check) bool { return strings.Contains(c.Reply.Body+c.Reply.Value, "{argument}") }
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
