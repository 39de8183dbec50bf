package config

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Summary is what a person needs to know about a sender before trusting it: what is
// authenticated, and how copies are recognised. All of it is derived from the
// provider's lines.
type Summary struct {
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`
	Docs  string `json:"docs"`

	// Kind is hmac, token, asymmetric or unsigned.
	Kind string `json:"kind"`

	// SignatureHeader is where the signature is: a header's name, or another source as
	// a line has it. It is empty where the sender sends a token; see Token.
	SignatureHeader string `json:"signature_header"`
	Algorithm       string `json:"algorithm"`
	Encoding        string `json:"encoding,omitempty"`
	Token           string `json:"token,omitempty"`

	// Keys is the URL where the sender's public keys are fetched, or the patterns of the
	// URLs that its requests may name, or the root of the certificates that its tokens bring
	// along.
	Keys string `json:"keys,omitempty"`

	// KeysSecret names the credentials that are needed to fetch them.
	KeysSecret []string `json:"keys_secret,omitempty"`

	// Signed is the template of the signed bytes, or a description for a named scheme.
	// BodySigned is all, part or none.
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

	Recognition

	// NeverRetries means that the sender does not retry by itself. RetrySpanSeconds is
	// then how long people can redeliver an event.
	NeverRetries     bool  `json:"never_retries"`
	RetrySpanSeconds int64 `json:"retry_span_seconds"`
	DedupeTTLSeconds int64 `json:"dedupe_ttl_seconds"`

	// MaxAgeSeconds is zero where the sender sends no timestamp.
	MaxAgeSeconds int64 `json:"max_age_seconds"`

	Handshake  string   `json:"handshake"`
	Confidence string   `json:"confidence"`
	Checked    string   `json:"checked,omitempty"`
	Sources    []string `json:"sources,omitempty"`
	Unverified []string `json:"unverified,omitempty"`
	SecretHint string   `json:"secret_hint,omitempty"`

	// SignedFields are the parts of the body that are signed where the whole of it is not.
	SignedFields []string `json:"signed_fields,omitempty"`

	// Params are the constants that the user has to give.
	Params []string `json:"params,omitempty"`

	// Allow are the sources of signed values, as a line has them, of which the user has to
	// name those that are accepted.
	Allow []string `json:"allow,omitempty"`
}

// The kinds of senders, by what authenticates them.
const (
	KindHMAC       = "hmac"
	KindToken      = "token"
	KindAsymmetric = "asymmetric"
	KindUnsigned   = "unsigned"
)

// Summarize describes a provider. Values that only its user knows, such as a param, may
// be missing.
func (p Provider) Summarize(name string) (Summary, error) {
	missing, open := p.MissingParams(), p.OpenAllows()
	p = p.WithParams()
	rules, err := p.Resolve()
	if err != nil {
		return Summary{}, err
	}
	scheme := rules.Scheme
	s := Summary{
		Name: name, Title: p.Title, Docs: p.Docs, Kind: kindOf(p, scheme),
		Token:            p.Token,
		Signed:           signedText(p, scheme),
		BodySigned:       "none",
		ID:               sourcesText(p.ID),
		IDSigned:         rules.IDSigned(),
		Content:          p.Content,
		Event:            p.Event.String(),
		EventSigned:      scheme.Covers(p.Event),
		NeverRetries:     p.NeverRetries,
		RetrySpanSeconds: seconds(p.Span()),
		DedupeTTLSeconds: seconds(rules.DedupeTTL),
		Handshake:        strings.Join(p.Handshake, " "),
		Confidence:       p.Confidence,
		Unverified:       p.Unverified,
		SecretHint:       p.SecretHint,
		Params:           missing,
		Allow:            open,
	}
	for _, field := range scheme.CoveredFields() {
		s.BodySigned, s.SignedFields = "part", append(s.SignedFields, field.String())
	}
	if scheme.CoversBody() {
		s.BodySigned = "all"
	}
	s.SignatureHeader, s.Algorithm, s.Encoding = places(p)
	s.Keys, s.KeysSecret = p.Keys.where(), p.Keys.credentials()
	if p.Timestamp != nil {
		s.Timestamp, s.TimestampSigned = p.Timestamp.Source.String(), scheme.Covers(p.Timestamp.Source)
		s.MaxAgeSeconds = seconds(rules.Window.MaxAge)
	}
	if p.EventTime != nil {
		s.EventTime = p.EventTime.Source.String()
	}
	if len(p.Checked) > 0 {
		s.Checked, s.Sources = p.Checked[0], p.Checked[1:]
	}
	s.Recognition = rules.Recognition()
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

func kindOf(p Provider, scheme *signature.Scheme) string {
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

// places lists where the signature is and its algorithms, each once, and the encoding of
// the first.
func places(p Provider) (place, algorithm, encoding string) {
	var places, algorithms []string
	for _, spec := range p.Signature {
		where := spec.Header + spec.Source.String()
		if !slices.Contains(places, where) {
			places = append(places, where)
		}
		if name := cmp.Or(spec.Algorithm, "sha256"); !slices.Contains(algorithms, name) {
			algorithms = append(algorithms, name)
		}
		if encoding == "" {
			encoding = cmp.Or(spec.Encoding, "hex")
		}
	}
	if p.Scheme == "jwt" {
		encoding = "base64url"
	}
	return strings.Join(places, ", "), strings.Join(algorithms, ", "), encoding
}

// namedSchemes describes the signed bytes that no template can express.
var namedSchemes = map[string]string{
	"twilio":     "the URL and the sorted fields of a form, or the URL with the body's digest in it",
	"contentful": "method, path, the headers that the request lists, and the body",
	"jwt":        "the claims of a token",
}

func signedText(p Provider, scheme *signature.Scheme) string {
	if !scheme.Signed() {
		return ""
	}
	if p.Scheme == "" {
		text := cmp.Or(strings.Join(p.Signed, " or "), "{body}")
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
		text += ", " + claimText(claim)
	}
	return text
}
