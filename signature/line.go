package signature

import (
	"crypto/ecdsa"
	"crypto/elliptic"
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
	jwt       bool   // a signature is a whole token
	detached  bool   // a signature is a token without what it signs
	keySet    bool   // which names a key of a set
	keyID     Source // where the request names its key; none with jwt
	when      *Condition
}

// isToken reports whether signatures are written as tokens write them.
func isToken(l *signatureLine) bool { return l.jwt || l.detached }

func (l *signatureLine) isHeader() bool { return l.source.Kind == SourceHeader }

// written returns the place as in a config line.
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

// applies reports whether a request's signature is of this kind.
func (l *signatureLine) applies(r *Request) bool {
	if l.when == nil {
		return true
	}
	v := l.when.Source.Read(r, Parts{})
	if l.when.Source.Kind == SourceBody && !uniqueJSON(string(r.Body), l.when.Source.Name) {
		return false
	}
	return v.Text == l.when.Value && !v.Repeated && !v.Bad
}

// read returns the value at a place that is not a header.
func (l *signatureLine) read(r *Request) Value {
	if l.source == wholeBody {
		return Value{Text: string(r.Body), Found: len(r.Body) > 0}
	}
	v := l.source.read(r, "")
	if l.source.Kind == SourceBody && v.Found && !uniqueJSON(string(r.Body), l.source.Name) {
		v.Repeated = true
	}
	return v
}

// names returns the headers that a numbered line reads in one request: those with a
// number in place of the star (DocuSign X-DocuSign-Signature-1, -2 and so on).
func (l *signatureLine) names(r *Request) []string {
	var names []string
	for name := range r.Header {
		number, ok := strings.CutPrefix(name, l.source.Name)
		// One more than can be tried is enough to refuse them all.
		if ok && allDigits(number) && len(names) <= maxCandidates {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (l *signatureLine) checkKey(key *Key) error {
	switch {
	case l.algorithm.kind() == asymmetric && key.public == nil:
		return fmt.Errorf("%s needs the sender's public key, not a secret", l.algorithm)
	case l.algorithm.kind() != asymmetric && key.public != nil:
		return fmt.Errorf("%s needs a secret, not a public key", l.algorithm)
	case !key.fits(l.algorithm):
		return fmt.Errorf("%s needs %s key, and this is %s key", l.algorithm, keyNames[l.algorithm.String()], key.typeName())
	}
	if isToken(l) && l.algorithm.String() == nameECDSA {
		if public, ok := key.public.(*ecdsa.PublicKey); ok && public.Curve != elliptic.P256() {
			return errors.New("a JWT with ecdsa-sha256 (ES256) needs a key on the curve P-256")
		}
	}
	return nil
}
