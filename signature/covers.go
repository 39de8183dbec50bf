package signature

import (
	"slices"
	"strings"
)

// covers says whether changing what s reads must change what the placeholder
// writes. {timestamp} and {id} are the scheme's to judge.
func (ph placeholder) covers(s Source) bool {
	// Lower case makes two values one: an ID in other letters would be a new
	// ID under the same MAC.
	return !slices.Contains(ph.funcs, "lower") && ph.holds(s)
}

// holds says whether what s reads goes into what the placeholder writes. A
// body without a path is the whole of it.
func (ph placeholder) holds(s Source) bool {
	switch s.Kind {
	case SourceHeader:
		return ph.variable == varHeader && strings.EqualFold(ph.name, s.Name)
	case SourceQuery:
		// unescape_reserved is no loss here: a query value is read decoded.
		switch ph.variable {
		case varQuery, varURI, varURL:
			return true
		}
		return ph.variable == varQueryKey && ph.name == s.Name
	case SourceForm:
		return ph.variable == varBody || ph.variable == varFormSorted || ph.variable == varFormField && ph.name == s.Name
	case SourceFormJSON:
		field, path, err := splitFormJSON(s.Name)
		if err != nil {
			return false
		}
		if ph.variable == varFormJSON {
			f, p, err := splitFormJSON(ph.name)
			return err == nil && f == field && holdsPath(p, path)
		}
		return ph.holds(Source{SourceForm, field})
	case SourceBody:
		if s.Name == "" {
			return ph.variable == varBody || ph.variable == varFormSorted
		}
		return ph.variable == varBody || ph.variable == varBodyPath && !ph.each && holdsPath(ph.name, s.Name)
	}
	return false
}

// holdsPath: the same path, or an object around it.
func holdsPath(outer, inner string) bool {
	o, err := splitPath(outer)
	if err != nil {
		return false
	}
	i, err := splitPath(inner)
	return err == nil && len(o) <= len(i) && slices.Equal(o, i[:len(o)])
}

// Covers says whether what s reads is under the MAC, whichever of the signed
// templates matched. It is derived from the templates and never declared. A
// scheme without signatures covers nothing.
func (s *Scheme) Covers(source Source) bool {
	if len(s.lines) == 0 {
		return false
	}
	if s.items != "" {
		switch source.Kind {
		case SourceBody:
			path, ok := s.inItem(source.Name)
			if !ok {
				return false
			}
			source.Name = path
		case SourceForm, SourceFormJSON:
			return false
		}
	}
	// A token vouches for its claims, and they for the request: all of them
	// have to hold, so one that covers the source is enough.
	if slices.ContainsFunc(s.claims, func(c *claim) bool { return !c.optional && s.coveredBy(c, source) }) {
		return true
	}
	return !slices.ContainsFunc(s.signed, func(c content) bool { return !s.coveredBy(c, source) })
}

// CoversBody says whether the whole body is under the signature. Where it is
// not, a captured signature vouches for any event that its fields are copied
// into, and nothing but [Scheme.Covers] says which fields those are.
func (s *Scheme) CoversBody() bool {
	if len(s.lines) == 0 || s.items != "" {
		return false
	}
	if !slices.ContainsFunc(s.lines, func(l signatureLine) bool { return l.source != Source{Kind: SourceBody} }) {
		return true // all there is in the body is a token
	}
	return s.Covers(Source{Kind: SourceBody})
}

// CoveredFields are the parts of the body that are signed where the whole of
// it is not, as sources; empty where no part is. With items, they begin at the
// element.
func (s *Scheme) CoveredFields() []Source {
	var fields []Source
	if s.CoversBody() {
		return nil
	}
	add := func(c content) {
		var t *Template
		switch c := c.(type) {
		case *templateContent:
			t = c.Template
		case *claim:
			t = c.Template
		default:
			return
		}
		for _, p := range t.pieces {
			if p.placeholder == nil {
				continue
			}
			source, ok := p.placeholder.field()
			if ok && !slices.Contains(fields, source) {
				fields = append(fields, source)
			}
		}
	}
	for _, c := range s.signed {
		add(c)
	}
	for _, c := range s.claims {
		if !c.optional {
			add(c)
		}
	}
	return slices.DeleteFunc(fields, func(f Source) bool { return s.items == "" && !s.Covers(f) })
}

// field is the part of the body that the placeholder writes.
func (ph placeholder) field() (Source, bool) {
	switch ph.variable {
	case varBodyPath:
		return Source{SourceBody, ph.name}, true
	case varFormField:
		return Source{SourceForm, ph.name}, true
	case varFormJSON:
		return Source{SourceFormJSON, ph.name}, true
	}
	return Source{}, false
}

func (s *Scheme) coveredBy(c content, source Source) bool {
	if c.covers(source) {
		return true
	}
	stamp := s.spec.Timestamp != nil && sameSource(s.spec.Timestamp.Source, source)
	id := len(s.spec.ID) == 1 && sameSource(s.spec.ID[0], source)
	// The source signature is the stamp, the ID or both, and a scheme in
	// which only one of them is signed must not vouch for the other.
	return (stamp || id) && (!stamp || c.uses(varTimestamp)) && (!id || c.uses(varID))
}

func sameSource(a, b Source) bool {
	if a.Kind == SourceHeader {
		return b.Kind == SourceHeader && strings.EqualFold(a.Name, b.Name)
	}
	return a == b
}
