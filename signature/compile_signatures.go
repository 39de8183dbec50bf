package signature

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// signatures compiles the places of the signatures.
func (c *compiler) signatures() error {
	specs := c.spec.Signatures
	if len(specs) == 0 {
		specs = namedSignatures[c.spec.Named]
	}
	for _, spec := range specs {
		l, err := compileLine(spec, c.spec.Named == namedJWT)
		if err != nil {
			return fmt.Errorf("signature: %w", err)
		}
		l.keySet = c.spec.KeySet
		c.scheme.lines = append(c.scheme.lines, l)
		if !slices.Contains(c.scheme.algorithms, l.algorithm) {
			c.scheme.algorithms = append(c.scheme.algorithms, l.algorithm)
		}
		c.scheme.inBody = c.scheme.inBody || l.source.inBody()
		// It would be unclear which of them a key is for, and a secret must not
		// be used as a public key.
		if l.algorithm.kind() != c.scheme.lines[0].algorithm.kind() {
			return fmt.Errorf("signature: %s and %s need keys of two kinds: describe them as two providers", c.scheme.lines[0].algorithm, l.algorithm)
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
	l.jwt, l.when = jwt, spec.When
	if l.source, l.numbered, err = spec.place(jwt); err != nil {
		return l, err
	}
	if err = l.checkWhen(); err != nil {
		return l, fmt.Errorf("when: %w", err)
	}
	if l.algorithm, err = findAlgorithm(cmp.Or(spec.Algorithm, "sha256")); err != nil {
		return l, err
	}
	if l.format, err = parseFormat(cmp.Or(spec.Format, "{signature}"), spec.Split); err != nil {
		return l, err
	}
	if jwt {
		return l, l.checkJWT(spec)
	}
	if spec.Encoding == encodingJWS {
		return l, checkDetached(&l)
	}
	l.encoding, err = findEncoding(cmp.Or(spec.Encoding, "hex"))
	return l, err
}

// place returns where the signature is, and whether that is several numbered headers.
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
	if !slices.Contains([]Kind{SourceHeaderJSON, SourceQuery, SourceBody, SourceForm, SourceFormJSON}, spec.Source.Kind) {
		return Source{}, false, fmt.Errorf("%q is no place of a signature: use <header>, header_json <name>.<path>, query <key>, body <path>, form <field> or form_json <field>.<path>", spec.Source)
	}
	return spec.Source, false, spec.Source.Check()
}

// checkWhen checks the condition of a signature line.
func (l *signatureLine) checkWhen() error {
	if l.when == nil {
		return nil
	}
	source := l.when.Source
	if source.Kind == SourceClaim || source.Kind == SourceSignature {
		return fmt.Errorf("%s is not known before the signature is: use a header, the query or the body", source)
	}
	if source.inBody() && !l.source.inBody() {
		return fmt.Errorf("%s is read after the body, and %s before it", source, l)
	}
	return source.Check()
}

// checkJWT checks a signature line whose signature is a token.
func (l *signatureLine) checkJWT(spec SignatureSpec) error {
	l.encoding = &tokenEncoding
	if algorithms[l.algorithm].jwt == "" {
		return fmt.Errorf("there is no JWT with the algorithm %s", l.algorithm)
	}
	if spec.Encoding != "" && spec.Encoding != tokenEncoding.name {
		return fmt.Errorf("a JWT is in base64url, not in %s", spec.Encoding)
	}
	for name, v := range formatVariables {
		if v != varSignature && l.format.has(v) {
			return fmt.Errorf("a {%s} beside a JWT is not under its signature: use a claim, timestamp claim iat or id claim jti", name)
		}
	}
	return nil
}

// items checks the line items, for senders that sign each element of a
// list on its own. The element then takes the place of the body: for body
// paths in signed and for the place of the signature.
func (c *compiler) items() error {
	path := c.spec.Items
	if path == "" {
		return nil
	}
	if _, err := splitPath(path); err != nil {
		return fmt.Errorf("items: %w", err)
	}
	if c.spec.Named != "" {
		return fmt.Errorf("items: the scheme %s has its own content, so remove this line", c.spec.Named)
	}
	if len(c.scheme.lines) == 0 {
		return errors.New("items: there is no signature line to go with it")
	}
	for i := range c.scheme.lines {
		if l := &c.scheme.lines[i]; l.source.Kind != SourceBody {
			return fmt.Errorf("items: each element holds its own signature, so write signature body <path in the element> instead of %s", l)
		}
	}
	return nil
}
