package signature

import "errors"

// Scheme is a checked Spec. It may be used by many goroutines at once.
type Scheme struct {
	spec       Spec
	lines      []signatureLine
	algorithms []algorithm // of the lines, each once
	signed     []content
	claims     []*claim
	fields     []Source // of the body, signed without the whole of it
	// Some signatures can only be read once the body is there.
	inBody bool
	// What any of the contents uses, and so has to be read for the MAC.
	signsTimestamp, signsID bool
	// What of the URL any of the contents or claims uses.
	url urlUse
	// Of the spec, as they are read.
	stampSource, eventSource, idSource Source
}

// Spec returns what the scheme was compiled from.
func (s *Scheme) Spec() Spec { return s.spec }

// Signed says whether there are signatures to check at all.
func (s *Scheme) Signed() bool { return len(s.lines) > 0 }

// Asymmetric says whether the sender signs with a private key, so that the
// guard needs its public key and no secret.
func (s *Scheme) Asymmetric() bool {
	return len(s.lines) > 0 && s.lines[0].algorithm.kind() == asymmetric
}

// NewKey makes a key the way the scheme's secrets are written, or of a public
// key where the sender signs with one.
func (s *Scheme) NewKey(text string) (*Key, error) {
	if !s.Asymmetric() {
		return NewKey(text, s.spec.SecretEncoding, s.spec.SecretPrefix)
	}
	key, err := NewPublicKey(text)
	if err != nil {
		return nil, err
	}
	return key, s.CheckKey(key)
}

// CheckKey says what is wrong with using a key in this scheme: a secret where
// a public key is needed, or a key of another type than the algorithm's.
func (s *Scheme) CheckKey(key *Key) error {
	if key == nil || !key.usable() {
		return errors.New("the key is empty")
	}
	for i := range s.lines {
		if err := s.lines[i].checkKey(key); err != nil {
			return err
		}
	}
	return nil
}
