package signature

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// signatureLine is one place that may hold signatures, and how to read it.
type signatureLine struct {
	source    Source // a header's name is canonical and without its star
	numbered  bool
	algorithm algorithm
	encoding  *encoding
	format    *format
	jwt       bool // a signature is a whole token
}

func (s *Scheme) compileSignatures() error {
	specs := s.spec.Signatures
	if len(specs) == 0 {
		specs = namedSignatures[s.spec.Named]
	}
	for _, spec := range specs {
		l, err := compileLine(spec, s.spec.Named == namedJWT)
		if err != nil {
			return fmt.Errorf("signature: %w", err)
		}
		s.lines = append(s.lines, l)
		if !slices.Contains(s.algorithms, l.algorithm) {
			s.algorithms = append(s.algorithms, l.algorithm)
		}
		s.inBody = s.inBody || l.source.inBody()
		// Which of them a key is for could not be told, and a secret must not
		// be tried where a public key belongs.
		if l.algorithm.kind() != s.lines[0].algorithm.kind() {
			return fmt.Errorf("signature: %s and %s need keys of two kinds: describe them as two providers", s.lines[0].algorithm, l.algorithm)
		}
	}
	return nil
}

// namedSignatures are the signature lines of the schemes that have their own.
var namedSignatures = map[string][]SignatureSpec{
	namedTwilio:     {twilioSignature},
	namedContentful: {contentfulSignature},
}

func compileLine(spec SignatureSpec, jwt bool) (l signatureLine, err error) {
	l.jwt = jwt
	if l.source, l.numbered, err = spec.place(jwt); err != nil {
		return l, err
	}
	if l.algorithm, err = findAlgorithm(orDefault(spec.Algorithm, "sha256")); err != nil {
		return l, err
	}
	if l.format, err = parseFormat(orDefault(spec.Format, "{signature}"), spec.Split); err != nil {
		return l, err
	}
	if jwt {
		return l, l.checkJWT(spec)
	}
	l.encoding, err = findEncoding(orDefault(spec.Encoding, "hex"))
	return l, err
}

// place is where the signature is, and whether that is a row of headers.
func (spec SignatureSpec) place(jwt bool) (Source, bool, error) {
	switch {
	case spec.Source == Source{}:
		name, numbered := strings.CutSuffix(spec.Header, "*")
		if err := checkHeaderName(name); err != nil {
			return Source{}, false, err
		}
		// A star is a token character, so it could also be a part of the name.
		if strings.Contains(name, "*") {
			return Source{}, false, fmt.Errorf("header %q: a star can only stand at the end", spec.Header)
		}
		return Source{SourceHeader, canonical(name)}, numbered, nil
	case spec.Header != "":
		return Source{}, false, fmt.Errorf("there is both the header %s and %s: a signature is in one place", spec.Header, spec.Source)
	case jwt && spec.Source == wholeBody:
		return spec.Source, false, nil
	}
	if !slices.Contains([]Kind{SourceQuery, SourceBody, SourceForm, SourceFormJSON}, spec.Source.Kind) {
		return Source{}, false, fmt.Errorf("%q is no place of a signature: use <header>, query <key>, body <path>, form <field> or form_json <field>.<path>", spec.Source)
	}
	return spec.Source, false, spec.Source.Check()
}

// wholeBody is the source of a token that is all there is in a body.
var wholeBody = Source{Kind: SourceBody}

func (l *signatureLine) isHeader() bool { return l.source.Kind == SourceHeader }

// written is the place as it stands in a config line.
func (l *signatureLine) written() string {
	name, header := strings.CutPrefix(l.String(), string(SourceHeader)+" ")
	if header {
		return name
	}
	return l.String()
}

// String names the place in a refusal.
func (l *signatureLine) String() string {
	switch {
	case l.numbered:
		return l.source.String() + "*"
	case l.source == wholeBody:
		return "the body"
	}
	return l.source.String()
}

// checkNotHeld refuses a template that would write a signature into the bytes
// under itself, which no sender can do. It also keeps Covers honest: the place
// of a signature is never under it.
func (s *Scheme) checkNotHeld(t *Template) error {
	for i := range s.lines {
		l := &s.lines[i]
		for _, p := range t.pieces {
			if p.placeholder != nil && p.placeholder.holds(l.source) {
				return fmt.Errorf("%s holds the signature itself (%s), so no sender can have signed it", p.placeholder, l)
			}
		}
	}
	return nil
}

// checkParts compares the parts of the formats with what reads them.
func (s *Scheme) checkParts() error {
	for i := range s.lines {
		l := &s.lines[i]
		if t := s.spec.Timestamp; t != nil && t.Source.Kind == SourceSignature && !l.format.has(varTimestamp) {
			return fmt.Errorf("timestamp: the format of signature %s has no {timestamp}", l.written())
		}
		for _, id := range s.spec.ID {
			if id.Kind == SourceSignature && !l.format.has(varID) {
				return fmt.Errorf("id: the format of signature %s has no {id}", l.written())
			}
		}
		for _, c := range s.signed {
			if c.uses(varNonce) && !l.format.has(varNonce) {
				return fmt.Errorf("signed: {nonce} needs a {nonce} in the format of signature %s", l.written())
			}
		}
	}
	return nil
}

// checkUnsigned refuses sources that need a signature where there is none,
// and an event time that anyone could set.
func (s *Scheme) checkUnsigned() error {
	if len(s.lines) == 0 {
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
	case len(s.lines) > 0 && !s.Covers(e.Source):
		// Anyone could set it to now and replay.
		return fmt.Errorf("event_time: %s is not under the signature, so it proves nothing", e.Source)
	}
	return nil
}

// lineNames are the places where a signature was looked for.
func (s *Scheme) lineNames() string {
	var names []string
	for i := range s.lines {
		names = append(names, s.lines[i].String())
	}
	return strings.Join(names, " or ")
}
