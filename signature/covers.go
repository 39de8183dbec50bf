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
	if slices.Contains(ph.funcs, "lower") {
		return false
	}
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
		return ph.variable == varBody || ph.variable == varFormField && ph.name == s.Name
	case SourceBody:
		return ph.variable == varBody || ph.variable == varBodyPath && holdsPath(ph.name, s.Name)
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
	if len(s.headers) == 0 {
		return false
	}
	return !slices.ContainsFunc(s.signed, func(c content) bool { return !s.coveredBy(c, source) })
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
