package signature

import (
	"slices"
	"strings"
)

// covers reports whether changing what s reads must change what the placeholder
// writes. The scheme decides about {timestamp} and {id}.
func (ph placeholder) covers(s Source) bool {
	// Lower case makes two values equal: an ID in other case would be a new ID
	// under the same MAC.
	return !slices.Contains(ph.funcs, "lower") && ph.holds(s)
}

// holds reports whether what s reads goes into what the placeholder writes. A
// body without a path is the whole of it.
func (ph placeholder) holds(s Source) bool {
	if slices.Contains(ph.funcs, functionCRC32) {
		return false
	}
	switch s.Kind {
	case SourceHeader:
		return ph.variable == varHeader && strings.EqualFold(ph.name, s.Name)
	case SourceQuery:
		// unescape_reserved loses nothing here, since a query value is read decoded.
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

// decodes reports whether what is written can hold a zero byte that the request does not.
func (ph placeholder) decodes() bool {
	switch ph.variable {
	case varBodyPath, varFormField, varFormJSON, varFormSorted, varQueryKey:
		return true
	}
	return false
}

// sourceOf returns the place in a request that a placeholder writes; none for those that only a
// [Scheme] knows, and for texts of several places.
func sourceOf(ph *placeholder) (Source, bool) {
	var reads Reads
	ph.addTo(&reads)
	if len(reads.Sources) != 1 {
		return Source{}, false
	}
	return reads.Sources[0], true
}

// isJSON reports whether the placeholder is a body that is JSON, {body|json}.
func (ph *placeholder) isJSON() bool {
	return ph.variable == varBody && len(ph.funcs) == 1 && ph.funcs[0] == functionJSON
}

// isRaw reports whether the placeholder writes the body as it was sent.
func (ph *placeholder) isRaw() bool {
	return ph.variable == varBody && len(ph.funcs) == 0 || ph.isJSON()
}
