package config

import (
	"bytes"
	"errors"
	"fmt"
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

	// Argument is what the line adds, with its placeholders: the token that the
	// sender sends with its check, or a word that the answer holds.
	Argument string

	// Payload is the kind's.
	Payload signature.Source
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
	// Present: the source is there.
	Present ConditionKind = iota
	// Absent: the source is not there.
	Absent
	// Equal: the source is there once and has the condition's value.
	Equal
	// EmptyList: the source, a path in the body, is a list without elements, or null.
	EmptyList
	// NoBody: the body is empty, or JSON without members.
	NoBody
)

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

// ParseHandshake reads the words of a handshake line, and nil for none or off.
// Its errors hold no argument: that may be a secret.
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

// given takes the sources that the kind asks for off the front of a line's words
// and returns the kind's checks with them. Checks by GET have no body, so they
// are in the query or in a header.
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

// sources are all sources of a check.
func (c *Check) sources() []*signature.Source {
	all := []*signature.Source{&c.Token, &c.Challenge}
	for i := range c.When {
		all = append(all, &c.When[i].Source)
	}
	return all
}

// Syntax is what follows the word handshake for the kind of that name.
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

// Missing names the argument that the handshake cannot be answered without; ""
// where nothing is missing. The catalogue knows the kind but not the argument,
// so this is no error: the sender's events are accepted all the same.
func (h *Handshake) Missing() string {
	if h.Argument != "" {
		return ""
	}
	return Handshakes()[h.Kind].Argument
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
	payload := h.Payload
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
	if payload := h.Payload; payload.Name != "" {
		signed = payload.Read(r, signature.Parts{}).Text
	}
	// The empty text too: what is signed before the body may be the sender's choice.
	return signed == "" || slices.ContainsFunc(h.Checks, func(c Check) bool {
		return c.signsForAnybody() && c.Bound.Allows(signed)
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
	return v.Text, v.Found && !v.Bad && !v.Repeated && c.Bound.Allows(v.Text)
}

// Fill puts the parts of an answer into one of its texts.
func (r Reply) Fill(text, challenge, mac, argument string) string {
	return strings.NewReplacer("{challenge}", challenge, "{mac}", mac, "{argument}", argument).Replace(text)
}

func (c Condition) holds(r *signature.Request) bool {
	switch c.Is {
	case EmptyList:
		list := gjson.GetBytes(r.Body, c.Source.Name)
		return list.Raw == "null" || list.IsArray() && strings.TrimSpace(list.Raw[1:len(list.Raw)-1]) == ""
	case NoBody:
		text := string(bytes.TrimSpace(r.Body))
		return text == "" || text == "{}" || text == "[]"
	}
	v := c.Source.Read(r, signature.Parts{})
	switch c.Is {
	case Absent:
		return !v.Found && !v.Bad
	case Equal:
		return v.Found && !v.Bad && !v.Repeated && v.Text == c.Value
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
