package signature

import "errors"

// Scheme is a checked Spec. It may be used by many goroutines at once.
type Scheme struct {
	spec       Spec
	lines      []signatureLine
	algorithms []algorithm // of the lines, each once
	signed     []content
	claims     []*claim
	// inBody means that some signatures are in the body.
	inBody bool
	// Whether any of the contents uses the timestamp or the ID, which then have
	// to be read for the MAC.
	signsTimestamp, signsID bool
	// url is what any of the contents or claims uses of the URL.
	url urlUse
	// The canonical sources of the spec.
	stampSource, eventSource, idSource Source
}

// Spec returns what the scheme was compiled from.
func (s *Scheme) Spec() Spec { return s.spec }

// Signed reports whether there are signatures to check at all.
func (s *Scheme) Signed() bool { return len(s.lines) > 0 }

// Asymmetric reports whether the sender signs with a private key, so that the
// guard needs its public key and no secret.
func (s *Scheme) Asymmetric() bool {
	return len(s.lines) > 0 && s.lines[0].algorithm.kind() == asymmetric
}

// NewKeys makes the keys of a text that may be a list, a|b: of public keys, or of
// secrets in base64 or hex, in which no | can be.
func (s *Scheme) NewKeys(text string) ([]*Key, error) {
	texts := []string{text}
	if s.Asymmetric() || s.spec.SecretEncoding == "base64" || s.spec.SecretEncoding == "hex" {
		texts = splitSecrets(text)
	}
	var keys []*Key
	for _, one := range texts {
		key, err := s.NewKey(one)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
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
	return key, checkKey(s.lines, key)
}

// checkKey returns what is wrong with using a key for the lines: a secret where a public
// key is needed, or a key of another type than the algorithm's.
func checkKey(lines []signatureLine, key *Key) error {
	if !key.usable() {
		return errors.New("the key is empty")
	}
	for i := range lines {
		if err := lines[i].checkKey(key); err != nil {
			return err
		}
	}
	return nil
}
