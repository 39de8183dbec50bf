package signature

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// signed compiles the templates of the signed bytes.
func (c *compiler) signed() error {
	if named, ok, err := c.namedContents(); ok || err != nil {
		c.scheme.signed = named
		return err
	}
	if len(c.scheme.lines) == 0 {
		if len(c.spec.Signed) > 0 {
			return errors.New("signed: there is no signature line to go with it")
		}
		return nil
	}
	if err := checkFunctions(c.spec.SignedFunctions); err != nil {
		return fmt.Errorf("signed: %w", err)
	}
	templates := c.spec.Signed
	if len(templates) == 0 {
		templates = []string{"{body}"}
	}
	for _, text := range templates {
		t, err := ParseSigned(text)
		if err != nil {
			return fmt.Errorf("signed: %w", err)
		}
		if err := c.checkSigned(t); err != nil {
			return fmt.Errorf("signed: %w", err)
		}
		content := c.content(t)
		content.whole = c.spec.SignedFunctions
		content.open = c.scheme.lines[0].algorithm.kind() == plainHash && !t.ends(varSecret)
		c.scheme.signed = append(c.scheme.signed, &content)
	}
	findAbsent(c.scheme.signed)
	return nil
}

// findAbsent finds the fields of a JSON body that one template signs and another does not.
func findAbsent(signed []content) {
	for _, content := range signed {
		t, ok := content.(*templateContent)
		if !ok || t.readsBody() {
			continue
		}
		for _, other := range signed {
			for _, source := range other.Reads().Sources {
				if source.Kind == SourceBody && !t.holds(source) {
					t.absent = addNew(t.absent, source)
				}
			}
		}
	}
}

// content is a template and what verification needs to know about it.
func (c *compiler) content(t *Template) templateContent {
	s := c.scheme
	s.signsTimestamp = s.signsTimestamp || t.uses(varTimestamp)
	s.signsID = s.signsID || t.uses(varID)
	content := templateContent{Template: t, params: c.spec.Params, bounds: findBounds(t, &c.spec)}
	content.freeQuery = !t.Covers(Source{SourceQuery, "any"})
	reads := t.Reads()
	for _, source := range reads.Sources {
		switch {
		case source.inBody() && !reads.Body:
			content.fields = append(content.fields, signedField{source, readsInside(c.spec, source)})
		case source.Kind == SourceQuery && content.freeQuery:
			content.query = append(content.query, source.Name)
		}
	}
	return content
}

// readsInside reports whether ID, type or a time is read out of a field that is signed as
// a whole. The text of an object can be written as a string too, under the same MAC, and
// nothing would be found in that.
func readsInside(spec Spec, field Source) bool {
	read := append(slices.Clone(spec.ID), spec.Event)
	for _, stamp := range []*StampSpec{spec.Timestamp, spec.EventTime} {
		if stamp != nil {
			read = append(read, stamp.Source)
		}
	}
	return slices.ContainsFunc(read, func(s Source) bool {
		return field.Kind == SourceBody && s.Kind == SourceBody && s != field && s.Name != "" && holdsPath(field.Name, s.Name)
	})
}

// namedContents are those of a scheme that has its own.
func (c *compiler) namedContents() ([]content, bool, error) {
	var contents []content
	switch c.spec.Named {
	case "":
		return nil, false, nil
	case namedTwilio:
		contents = []content{twilioContent{}}
	case namedContentful:
		contents = []content{contentfulContent{}}
	case namedJWT:
		contents = []content{tokenContent{}}
	default:
		return nil, false, fmt.Errorf("scheme: unknown scheme %q: there are twilio, contentful and jwt", c.spec.Named)
	}
	if len(c.spec.Signed) > 0 {
		return nil, false, fmt.Errorf("signed: the scheme %s has its own content, so remove this line", c.spec.Named)
	}
	if c.scheme.inBody && c.spec.Named != namedJWT {
		return nil, false, fmt.Errorf("signature: the scheme %s signs the body, so the signature cannot be in it", c.spec.Named)
	}
	for i := range c.scheme.lines {
		if c.scheme.lines[i].algorithm.kind() != keyedHash && c.spec.Named != namedJWT {
			return nil, false, fmt.Errorf("signature: the scheme %s is an HMAC, not %s", c.spec.Named, c.scheme.lines[i].algorithm)
		}
	}
	return contents, true, nil
}

func checkFunctions(names []string) error {
	for i, f := range names {
		if _, ok := functions[f]; !ok || !slices.Contains(strings.Fields(wholeFunctionList), f) {
			return fmt.Errorf("unknown function %q after the template: there are %s", f, wholeFunctionList)
		}
		if i == 0 && f != "sha256" {
			// Any other function would need a second copy of the body in memory.
			return fmt.Errorf("the first function after the template has to be sha256, not %s", f)
		}
	}
	return nil
}

// checkSigned refuses a template that no request could ever satisfy, and one
// that signs nothing of the request.
func (c *compiler) checkSigned(t *Template) error {
	if err := c.checkTemplate(t); err != nil {
		return err
	}
	if !t.hasPlaceholder(func(ph placeholder) bool { return ph.variable != varParam && ph.variable != varSecret }) {
		return errors.New("the template holds nothing of the request, so one signature would be good for all")
	}
	for i := range c.scheme.lines {
		a := c.scheme.lines[i].algorithm
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

// checkTemplate checks a template of a signature or a claim.
func (c *compiler) checkTemplate(t *Template) error {
	if t.uses(varTimestamp) && c.spec.Timestamp == nil {
		return errors.New("{timestamp} needs a timestamp line that says where it is")
	}
	if t.uses(varID) && len(c.spec.ID) != 1 {
		return fmt.Errorf("{id} needs an id line with one source, there are %d: name the header or path in the template instead", len(c.spec.ID))
	}
	for ph := range t.placeholders {
		switch {
		case ph.variable == varParam && c.spec.Params[ph.name] == "":
			return fmt.Errorf("%s needs a line: param %s <value>", ph, ph.name)
		case ph.each:
			return fmt.Errorf(`%s: a * for every element is for content templates only, \* is a key of this name; where each element is signed on its own, use an items line`, ph)
		}
	}
	return c.checkNotHeld(t)
}

// checkNotHeld refuses a template that includes the signature itself in the signed
// bytes, which no sender can do. So Covers never reports the place of a signature.
func (c *compiler) checkNotHeld(t *Template) error {
	for i := range c.scheme.lines {
		l := &c.scheme.lines[i]
		for ph := range t.placeholders {
			if ph.holds(l.source) {
				return fmt.Errorf("%s holds the signature itself (%s), so no sender can have signed it", ph, l)
			}
		}
	}
	return nil
}
