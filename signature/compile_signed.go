package signature

import (
	"errors"
	"fmt"
)

func (s *Scheme) compileSigned() error {
	if named, ok, err := s.namedContents(); ok || err != nil {
		s.signed = named
		return err
	}
	if len(s.lines) == 0 {
		if len(s.spec.Signed) > 0 {
			return errors.New("signed: there is no signature line to go with it")
		}
		return nil
	}
	if err := s.checkFunctions(); err != nil {
		return fmt.Errorf("signed: %w", err)
	}
	templates := s.spec.Signed
	if len(templates) == 0 {
		templates = []string{"{body}"}
	}
	for _, text := range templates {
		t, err := parseTemplate(text)
		if err != nil {
			return fmt.Errorf("signed: %w", err)
		}
		if err := s.checkSigned(t); err != nil {
			return fmt.Errorf("signed: %w", err)
		}
		s.signed = append(s.signed, &templateContent{
			Template: t, params: s.spec.Params, whole: s.spec.SignedFunctions,
			open: s.lines[0].algorithm.kind() == plainHash && !t.ends(varSecret),
		})
		s.fields = append(s.fields, t.signedFields()...)
		s.signsTimestamp = s.signsTimestamp || t.uses(varTimestamp)
		s.signsID = s.signsID || t.uses(varID)
	}
	return nil
}

// namedContents are those of a scheme that has its own.
func (s *Scheme) namedContents() ([]content, bool, error) {
	var contents []content
	switch s.spec.Named {
	case "":
		return nil, false, nil
	case namedTwilio:
		contents = twilioContents()
	case namedContentful:
		contents = []content{contentfulContent{}}
	case namedJWT:
		contents = []content{tokenContent{}}
	default:
		return nil, false, fmt.Errorf("scheme: unknown scheme %q: there are twilio, contentful and jwt", s.spec.Named)
	}
	if len(s.spec.Signed) > 0 {
		return nil, false, fmt.Errorf("signed: the scheme %s has its own content, so remove this line", s.spec.Named)
	}
	if s.inBody && s.spec.Named != namedJWT {
		return nil, false, fmt.Errorf("signature: the scheme %s signs the body, so the signature cannot be in it", s.spec.Named)
	}
	for i := range s.lines {
		if s.lines[i].algorithm.kind() != keyedHash && s.spec.Named != namedJWT {
			return nil, false, fmt.Errorf("signature: the scheme %s is an HMAC, not %s", s.spec.Named, s.lines[i].algorithm)
		}
	}
	return contents, true, nil
}

func (s *Scheme) checkFunctions() error {
	for i, f := range s.spec.SignedFunctions {
		if _, ok := functions[f]; !ok || f == optional {
			return fmt.Errorf("unknown function %q after the template: there are %s", f, wholeFunctionList)
		}
		if i == 0 && f != "sha256" {
			// Anything else would need the whole of a body once more in memory.
			return fmt.Errorf("the first function after the template has to be sha256, not %s", f)
		}
	}
	return nil
}

// checkSigned refuses a template that no request could ever satisfy, and one
// that signs nothing of the request.
func (s *Scheme) checkSigned(t *Template) error {
	if err := s.checkTemplate(t); err != nil {
		return err
	}
	if !t.hasPlaceholder(func(ph placeholder) bool { return ph.variable != varParam && ph.variable != varSecret }) {
		return errors.New("the template holds nothing of the request, so one signature would be good for all")
	}
	for i := range s.lines {
		a := s.lines[i].algorithm
		switch plain := a.kind() == plainHash; {
		case plain && !t.uses(varSecret):
			return fmt.Errorf("%s is no HMAC, so without a {secret} in the template anyone could sign", a)
		case !plain && t.uses(varSecret):
			return fmt.Errorf("{secret} is for plain-sha1 and plain-sha256: %s has the key already", a)
		case plain && !t.ends(varSecret) && t.hasPlaceholder(placeholder.decodes):
			return fmt.Errorf("%s can be continued after its end, so with fields of the body or the query {secret} has to come last", a)
		}
	}
	return nil
}

// checkTemplate is for every template that a request is held to.
func (s *Scheme) checkTemplate(t *Template) error {
	if t.uses(varTimestamp) && s.spec.Timestamp == nil {
		return errors.New("{timestamp} needs a timestamp line that says where it is")
	}
	if t.uses(varID) && len(s.spec.ID) != 1 {
		return fmt.Errorf("{id} needs an id line with one source, there are %d: name the header or path in the template instead", len(s.spec.ID))
	}
	for _, p := range t.pieces {
		ph := p.placeholder
		switch {
		case ph == nil:
		case ph.variable == varParam && s.spec.Params[ph.name] == "":
			return fmt.Errorf("%s needs a line: param %s <value>", ph, ph.name)
		case ph.each:
			return fmt.Errorf(`%s: a * for every element is for content templates only, \* is a key of this name; where each element is signed on its own, use an items line`, ph)
		}
	}
	return s.checkNotHeld(t)
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
