package signature

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// content writes the bytes under a MAC.
type content interface {
	hash(st *macState, r *Request, p Parts) error
	covers(Source) bool
	uses(variable) bool
}

// templateContent is a template with the constants of its provider.
type templateContent struct {
	*Template
	params map[string]string
	// whole are functions over all of it; the first is a digest.
	whole []string
	// open: it is under a plain hash that could be continued after its end.
	open bool
}

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

// decodes: what is written can hold a zero byte that the request does not.
func (ph placeholder) decodes() bool {
	switch ph.variable {
	case varBodyPath, varFormField, varFormJSON, varFormSorted, varQueryKey:
		return true
	}
	return false
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

func (t *Template) ends(v variable) bool {
	last := t.pieces[len(t.pieces)-1].placeholder
	return last != nil && last.variable == v
}

func (c *templateContent) hash(st *macState, r *Request, p Parts) error {
	if c.open && bytes.IndexByte(r.Body, 0) >= 0 {
		// SHA-1 and SHA-256 pad with zero bytes. Who knows the hash of
		// secret and body knows that of both with padding and more after it;
		// a body that was continued so has a zero byte in it, always.
		return refuse(SignatureMalformed, "the body has a zero byte, which a plain hash does not protect")
	}
	e := env{r: r, parts: &p, params: c.params, secret: st.secret}
	if len(c.whole) == 0 {
		var err error
		st.buf, err = c.Template.hash(st.hash, st.buf, &e)
		return err
	}
	if st.whole == nil {
		st.whole = newSHA256()
	}
	st.whole.Reset()
	var err error
	if st.buf, err = c.Template.hash(st.whole, st.buf, &e); err != nil {
		return err
	}
	st.buf = st.whole.Sum(st.buf[:0])
	for _, f := range c.whole[1:] {
		st.buf = functions[f](st.buf, 0)
	}
	st.hash.Write(st.buf)
	return nil
}

// covers: what is lost in a function over the whole is lost for every part.
func (c *templateContent) covers(s Source) bool {
	return !slices.Contains(c.whole, "lower") && c.Template.Covers(s)
}
