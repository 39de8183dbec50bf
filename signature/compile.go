package signature

import (
	"errors"
	"fmt"
)

// Compile checks a spec. Its errors begin with the line of a configuration
// that they are about (signature, signed, items, claim, scheme, timestamp,
// event_time, id, secret_encoding).
func Compile(spec Spec) (*Scheme, error) {
	s := &Scheme{spec: spec}
	for _, step := range []func() error{
		s.compileSources, s.compileSignatures, s.compileItems, s.compileSigned, s.compileClaims,
		s.checkSecretEncoding, s.checkParts, s.checkUnsigned,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Scheme) compileSources() error {
	stamps := []struct {
		line   string
		spec   *StampSpec
		source *Source
	}{{"timestamp", s.spec.Timestamp, &s.stampSource}, {"event_time", s.spec.EventTime, &s.eventSource}}
	for _, stamp := range stamps {
		if stamp.spec == nil {
			continue
		}
		if err := s.checkSource(stamp.spec.Source); err != nil {
			return fmt.Errorf("%s: %w", stamp.line, err)
		}
		if err := checkStampFormat(stamp.spec.Format); err != nil {
			return fmt.Errorf("%s: %w", stamp.line, err)
		}
		*stamp.source = stamp.spec.Source.canonical()
	}
	for _, source := range s.spec.ID {
		if err := s.checkSource(source); err != nil {
			return fmt.Errorf("id: %w", err)
		}
	}
	if len(s.spec.ID) > 0 {
		s.idSource = s.spec.ID[0].canonical()
	}
	return nil
}

func (s *Scheme) checkSource(source Source) error {
	if source.Kind == SourceClaim && s.spec.Named != namedJWT {
		return fmt.Errorf("%s needs the line scheme jwt", source)
	}
	return source.Check()
}

func (s *Scheme) checkSecretEncoding() error {
	switch s.spec.SecretEncoding {
	case "", "raw", "base64", "hex", "sha1", "nfkd":
	default:
		return fmt.Errorf("secret_encoding: unknown encoding %q: use %s", s.spec.SecretEncoding, secretEncodings)
	}
	if s.Asymmetric() && s.spec.SecretEncoding+s.spec.SecretPrefix != "" {
		return errors.New("secret_encoding: a public key says itself how it is written, so remove this line")
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
