package config

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Summary is what a person wants to know of a sender before trusting it: who
// authenticates what, and what becomes of copies. Everything in it is derived
// from the sender's lines.
type Summary struct {
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`
	Docs  string `json:"docs"`

	// Kind is hmac, token, asymmetric or unsigned.
	Kind string `json:"kind"`

	// SignatureHeader is where the signature is: a header, or another source
	// written as in a line. Empty with a token, which Token has the place of.
	SignatureHeader string `json:"signature_header"`
	Algorithm       string `json:"algorithm"`
	Encoding        string `json:"encoding,omitempty"`
	Token           string `json:"token,omitempty"`

	// Signed is the template of the bytes under the signature, or words where
	// the scheme has a name. BodySigned is all, part or none.
	Signed     string `json:"signed"`
	BodySigned string `json:"body_signed"`

	Timestamp       string `json:"timestamp"`
	TimestampSigned bool   `json:"timestamp_signed"`
	EventTime       string `json:"event_time,omitempty"`

	ID       string `json:"id"`
	IDSigned bool   `json:"id_signed"`
	Content  string `json:"content,omitempty"`

	Event       string `json:"event,omitempty"`
	EventSigned bool   `json:"event_signed"`

	// Replay says how a captured request is kept from being good again.
	Replay string `json:"replay"`

	RetrySpanSeconds int64 `json:"retry_span_seconds"`
	DedupeTTLSeconds int64 `json:"dedupe_ttl_seconds"`

	// MaxAgeSeconds is zero where there is no timestamp to hold to it.
	MaxAgeSeconds int64 `json:"max_age_seconds"`

	Handshake  string   `json:"handshake"`
	Confidence string   `json:"confidence"`
	Unverified []string `json:"unverified,omitempty"`
	SecretHint string   `json:"secret_hint,omitempty"`
}

// The kinds of senders, by what authenticates them.
const (
	KindHMAC       = "hmac"
	KindToken      = "token"
	KindAsymmetric = "asymmetric"
	KindUnsigned   = "unsigned"
)

// How replay is closed, or not.
const (
	ReplayStamp       = "signed stamp"
	ReplayIDTime      = "signed ID and event time"
	ReplayID          = "signed ID within the TTL only"
	ReplayContentTime = "content key and event time"
	ReplayContent     = "content key within the TTL only"
	ReplayOpen        = "not closed"
)

// Summarize describes a provider of the catalogue; for an unknown name there is
// nothing but the name.
func Summarize(name string) Summary {
	p, ok := Builtin()[name]
	if !ok {
		return Summary{Name: name}
	}
	summary, err := p.Summarize(name)
	if err != nil {
		return Summary{Name: name} // the tests let no such entry pass
	}
	return summary
}

// Summarize describes a provider. What only its user can say, such as a param,
// need not be there.
func (p Provider) Summarize(name string) (Summary, error) {
	p = p.WithParams()
	rules, err := p.Resolve()
	if err != nil {
		return Summary{}, err
	}
	scheme := rules.Scheme
	s := Summary{
		Name: name, Title: p.Title, Docs: p.Docs, Kind: p.kind(scheme),
		Token:            p.Token,
		Signed:           p.signedText(scheme),
		BodySigned:       bodySigned(scheme),
		ID:               sourcesText(p.ID),
		IDSigned:         rules.Identity.IDSigned(),
		Content:          p.Content,
		Event:            p.Event.String(),
		EventSigned:      scheme.Covers(p.Event),
		RetrySpanSeconds: seconds(p.Span()),
		DedupeTTLSeconds: seconds(rules.DedupeTTL),
		Handshake:        strings.Join(p.Handshake, " "),
		Confidence:       p.Confidence,
		Unverified:       p.Unverified,
		SecretHint:       p.SecretHint,
	}
	s.SignatureHeader, s.Algorithm, s.Encoding = p.places()
	if p.Timestamp != nil {
		s.Timestamp, s.TimestampSigned = p.Timestamp.Source.String(), scheme.Covers(p.Timestamp.Source)
		s.MaxAgeSeconds = seconds(rules.Window.MaxAge)
	}
	if p.EventTime != nil {
		s.EventTime = p.EventTime.Source.String()
	}
	s.Replay = p.replay(s, scheme)
	return s, nil
}

func sourcesText(sources []signature.Source) string {
	var words []string
	for _, source := range sources {
		words = append(words, source.String())
	}
	return strings.Join(words, " ")
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func (p Provider) kind(scheme *signature.Scheme) string {
	switch {
	case p.Token != "":
		return KindToken
	case p.Unsigned():
		return KindUnsigned
	case scheme.Asymmetric():
		return KindAsymmetric
	}
	return KindHMAC
}

// places are those of the signature, each once, and how the first is written.
func (p Provider) places() (place, algorithm, encoding string) {
	var places, algorithms []string
	for _, spec := range p.Signature {
		where := spec.Header + spec.Source.String()
		if !slices.Contains(places, where) {
			places = append(places, where)
		}
		if name := orElse(spec.Algorithm, "sha256"); !slices.Contains(algorithms, name) {
			algorithms = append(algorithms, name)
		}
		if encoding == "" {
			encoding = orElse(spec.Encoding, "hex")
		}
	}
	if p.Scheme == "jwt" {
		encoding = "base64url"
	}
	return strings.Join(places, ", "), strings.Join(algorithms, ", "), encoding
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// namedSchemes are in words what no template says.
var namedSchemes = map[string]string{
	"twilio":     "the URL and the sorted fields of a form, or the URL with the body's digest in it",
	"contentful": "method, path, the headers that the request lists, and the body",
	"jwt":        "the claims of a token",
}

func (p Provider) signedText(scheme *signature.Scheme) string {
	if !scheme.Signed() {
		return ""
	}
	if p.Scheme == "" {
		text := strings.Join(orBodyTemplate(p.Signed), " or ")
		if len(p.SignedFunctions) > 0 {
			text += ", through " + strings.Join(p.SignedFunctions, " ")
		}
		if p.Items != "" {
			text += ", for each of body " + p.Items
		}
		return text
	}
	text := namedSchemes[p.Scheme]
	for _, claim := range p.Claim {
		text += ", " + claim.Name + " = " + claim.Template
	}
	return text
}

func orBodyTemplate(templates []string) []string {
	if len(templates) == 0 {
		return []string{"{body}"}
	}
	return templates
}

func bodySigned(scheme *signature.Scheme) string {
	switch {
	case scheme.CoversBody():
		return "all"
	case len(scheme.CoveredFields()) > 0:
		return "part"
	}
	return "none"
}

// replay follows what the guard does with a copy of a captured request: an old
// stamp is refused; else a key that its sender cannot have changed is found as
// long as it is remembered, and an old event is refused once it is not.
func (p Provider) replay(s Summary, scheme *signature.Scheme) string {
	switch {
	case !scheme.Signed():
		return ReplayOpen
	case s.TimestampSigned:
		return ReplayStamp
	case s.IDSigned && s.EventTime != "":
		return ReplayIDTime
	case s.IDSigned:
		return ReplayID
	case !p.contentSigned(scheme):
		return ReplayOpen
	case s.EventTime != "":
		return ReplayContentTime
	}
	return ReplayContent
}

var contentPlaceholder = regexp.MustCompile(`\{(body|form|form_json|header|query)\.([^}|]+)`)

// contentSigned: nobody can change what the content key is made of, other than
// an event type beside it.
func (p Provider) contentSigned(scheme *signature.Scheme) bool {
	switch p.Content {
	case "off":
		return false
	case "":
		return scheme.CoversBody()
	}
	if strings.Contains(p.Content, "{body}") && !scheme.CoversBody() {
		return false
	}
	for _, match := range contentPlaceholder.FindAllStringSubmatch(p.Content, -1) {
		if !scheme.Covers(signature.Source{Kind: signature.Kind(match[1]), Name: strings.ReplaceAll(match[2], "*", "0")}) {
			return false
		}
	}
	return true
}
