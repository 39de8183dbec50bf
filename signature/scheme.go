package signature

import (
	"errors"
	"fmt"
	"strings"
)

// SignatureSpec is one header that holds signatures.
type SignatureSpec struct {
	// Header is its name. A star at the end stands for a number.
	Header string `json:"header,omitempty"`
	// Algorithm is sha1, sha256, sha384 or sha512, as an HMAC. Default: sha256.
	Algorithm string `json:"algorithm,omitempty"`
	// Encoding is hex, base64 or base64url. Default: hex.
	Encoding string `json:"encoding,omitempty"`
	// Format is the header's shape. Default: {signature}.
	Format string `json:"format,omitempty"`
	// Split holds the separator of the items, or of groups and items.
	Split []string `json:"split,omitempty"`
}

// StampSpec is where a time is and how it is written.
type StampSpec struct {
	Source Source `json:"source"`
	// Format is unix, unix_ms or rfc3339. Default: told from the value.
	Format string `json:"format,omitempty"`
	// PerEvent: the stamp stays the same across retries. It changes nothing
	// here; the caller's window follows it.
	PerEvent bool `json:"per_event,omitempty"`
}

// Spec describes a provider's scheme.
type Spec struct {
	// Signatures are the headers to look at; any that is present may match.
	// None: the provider does not sign, and only the stamps can be checked.
	Signatures []SignatureSpec `json:"signatures,omitempty"`
	// Signed are templates of the bytes under the MAC; each is tried.
	// Default: {body}.
	Signed []string `json:"signed,omitempty"`
	// Named is a scheme that templates cannot describe: twilio. It replaces
	// Signed.
	Named string `json:"named,omitempty"`
	// Timestamp is when the request was sent, EventTime when the event
	// happened. EventTime is not checked where a request has none.
	Timestamp *StampSpec `json:"timestamp,omitempty"`
	EventTime *StampSpec `json:"event_time,omitempty"`
	// ID are the sources of the event's ID.
	ID []Source `json:"id,omitempty"`
	// Params are the constants of {param.NAME}.
	Params map[string]string `json:"params,omitempty"`
	// SecretEncoding and SecretPrefix are for [NewKey]. Default: raw, none.
	SecretEncoding string `json:"secret_encoding,omitempty"`
	SecretPrefix   string `json:"secret_prefix,omitempty"`
}

// Scheme is a checked Spec. It may be used by many goroutines at once.
type Scheme struct {
	spec    Spec
	headers []signatureHeader
	signed  []content
	// What any of the contents uses, and so has to be read for the MAC.
	signsTimestamp, signsID bool
}

type signatureHeader struct {
	name      string // canonical; without the star
	numbered  bool
	algorithm algorithm
	encoding  *encoding
	format    *format
}

// content writes the bytes under a MAC.
type content interface {
	hash(st *macState, r *Request, p Parts) error
	covers(Source) bool
	uses(variable) bool
}

// Compile checks a spec. Its errors begin with the line of a configuration
// that they are about (signature, signed, scheme, timestamp,
// event_time, id, secret_encoding).
func Compile(spec Spec) (*Scheme, error) {
	s := &Scheme{spec: spec}
	if err := s.compileSources(); err != nil {
		return nil, err
	}
	if err := s.compileSignatures(); err != nil {
		return nil, err
	}
	if err := s.compileSigned(); err != nil {
		return nil, err
	}
	switch spec.SecretEncoding {
	case "", "raw", "base64", "hex":
	default:
		return nil, fmt.Errorf("secret_encoding: unknown encoding %q: use raw, base64 or hex", spec.SecretEncoding)
	}
	return s, s.checkParts()
}

// NewKey makes a key the way the scheme's secrets are written.
func (s *Scheme) NewKey(text string) (*Key, error) {
	return NewKey(text, s.spec.SecretEncoding, s.spec.SecretPrefix)
}

// Spec returns what the scheme was compiled from.
func (s *Scheme) Spec() Spec { return s.spec }

// Signed says whether there are signatures to check at all.
func (s *Scheme) Signed() bool { return len(s.headers) > 0 }

func (s *Scheme) compileSources() error {
	stamps := []struct {
		line string
		spec *StampSpec
	}{{"timestamp", s.spec.Timestamp}, {"event_time", s.spec.EventTime}}
	for _, stamp := range stamps {
		if stamp.spec == nil {
			continue
		}
		if err := stamp.spec.Source.check(); err != nil {
			return fmt.Errorf("%s: %w", stamp.line, err)
		}
		if err := checkStampFormat(stamp.spec.Format); err != nil {
			return fmt.Errorf("%s: %w", stamp.line, err)
		}
	}
	for _, source := range s.spec.ID {
		if err := source.check(); err != nil {
			return fmt.Errorf("id: %w", err)
		}
	}
	return nil
}

func (s *Scheme) compileSignatures() error {
	specs := s.spec.Signatures
	if s.spec.Named == namedTwilio && len(specs) == 0 {
		specs = []SignatureSpec{twilioSignature}
	}
	for _, spec := range specs {
		h, err := compileHeader(spec)
		if err != nil {
			return fmt.Errorf("signature: %w", err)
		}
		s.headers = append(s.headers, h)
	}
	return nil
}

func compileHeader(spec SignatureSpec) (h signatureHeader, err error) {
	name, numbered := strings.CutSuffix(spec.Header, "*")
	if err := checkHeaderName(name); err != nil {
		return h, err
	}
	// A star is a token character, so it could also be a part of the name.
	if strings.Contains(name, "*") {
		return h, fmt.Errorf("header %q: a star can only stand at the end", spec.Header)
	}
	h.name, h.numbered = canonical(name), numbered
	if h.algorithm, err = findAlgorithm(orDefault(spec.Algorithm, "sha256")); err != nil {
		return h, err
	}
	if h.encoding, err = findEncoding(orDefault(spec.Encoding, "hex")); err != nil {
		return h, err
	}
	h.format, err = parseFormat(orDefault(spec.Format, "{signature}"), spec.Split)
	return h, err
}

func orDefault(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func (s *Scheme) compileSigned() error {
	switch s.spec.Named {
	case "":
	case namedTwilio:
		if len(s.spec.Signed) > 0 {
			return errors.New("signed: the scheme twilio has its own content, so remove this line")
		}
		s.signed = twilioContents()
		return nil
	default:
		return fmt.Errorf("scheme: unknown scheme %q: there is twilio", s.spec.Named)
	}
	if len(s.headers) == 0 {
		if len(s.spec.Signed) > 0 {
			return errors.New("signed: there is no signature line to go with it")
		}
		return nil
	}
	templates := s.spec.Signed
	if len(templates) == 0 {
		templates = []string{"{body}"}
	}
	for _, text := range templates {
		t, err := ParseTemplate(text)
		if err != nil {
			return fmt.Errorf("signed: %w", err)
		}
		if err := s.checkSigned(t); err != nil {
			return fmt.Errorf("signed: %w", err)
		}
		s.signed = append(s.signed, templateContent{t, s.spec.Params})
		s.signsTimestamp = s.signsTimestamp || t.uses(varTimestamp)
		s.signsID = s.signsID || t.uses(varID)
	}
	return nil
}

// checkSigned refuses a template that no request could ever satisfy, and one
// that signs nothing of the request.
func (s *Scheme) checkSigned(t *Template) error {
	if t.uses(varTimestamp) && s.spec.Timestamp == nil {
		return errors.New("{timestamp} needs a timestamp line that says where it is")
	}
	if t.uses(varID) && len(s.spec.ID) != 1 {
		return fmt.Errorf("{id} needs an id line with one source, there are %d: name the header or path in the template instead", len(s.spec.ID))
	}
	if !t.hasPlaceholder(func(ph placeholder) bool { return ph.variable != varParam }) {
		return errors.New("the template holds nothing of the request, so one signature would be good for all")
	}
	for _, p := range t.pieces {
		if ph := p.placeholder; ph != nil && ph.variable == varParam && s.spec.Params[ph.name] == "" {
			return fmt.Errorf("%s needs a line: param %s <value>", ph, ph.name)
		}
	}
	return nil
}

// checkParts compares the parts of the header formats with what reads them.
func (s *Scheme) checkParts() error {
	for i, h := range s.headers {
		name := s.spec.signatureName(i, h)
		if t := s.spec.Timestamp; t != nil && t.Source.Kind == SourceSignature && !h.format.has(varTimestamp) {
			return fmt.Errorf("timestamp: the format of signature %s has no {timestamp}", name)
		}
		for _, id := range s.spec.ID {
			if id.Kind == SourceSignature && !h.format.has(varID) {
				return fmt.Errorf("id: the format of signature %s has no {id}", name)
			}
		}
		for _, c := range s.signed {
			if c.uses(varNonce) && !h.format.has(varNonce) {
				return fmt.Errorf("signed: {nonce} needs a {nonce} in the format of signature %s", name)
			}
		}
	}
	return s.checkUnsigned()
}

func (s *Scheme) checkUnsigned() error {
	if len(s.headers) == 0 {
		for _, id := range s.spec.ID {
			if id.Kind == SourceSignature {
				return errors.New("id: there is no signature line to read it from")
			}
		}
		if t := s.spec.Timestamp; t != nil && t.Source.Kind == SourceSignature {
			return errors.New("timestamp: there is no signature line to read it from")
		}
	}
	e := s.spec.EventTime
	switch {
	case e == nil:
		return nil
	case e.Source.Kind == SourceSignature:
		return errors.New("event_time: the signature header holds no event time")
	case len(s.headers) > 0 && !s.Covers(e.Source):
		// Anyone could set it to now and replay.
		return fmt.Errorf("event_time: %s is not under the signature, so it proves nothing", e.Source)
	}
	return nil
}

func (spec Spec) signatureName(i int, h signatureHeader) string {
	if i < len(spec.Signatures) {
		return spec.Signatures[i].Header
	}
	return h.name
}

func (s *Scheme) headerNames() string {
	var names []string
	for _, h := range s.headers {
		name := h.name
		if h.numbered {
			name += "*"
		}
		names = append(names, name)
	}
	return strings.Join(names, " or ")
}
