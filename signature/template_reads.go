package signature

import "strings"

// Reads returns what the template reads from a request. {timestamp}, {id} and
// {nonce} are left out, as only a [Scheme] knows where they are.
func (t *Template) Reads() Reads {
	var reads Reads
	for ph := range t.placeholders {
		ph.addTo(&reads)
	}
	return reads
}

func (ph *placeholder) addTo(reads *Reads) {
	switch ph.variable {
	case varBody:
		reads.Body = true
		reads.RawBody = reads.RawBody || ph.isRaw()
	case varFormSorted:
		reads.Body = true
	case varURL, varURI, varScheme, varHost, varPath, varQuery:
		reads.URL = true
	case varParam:
		reads.Params = addNew(reads.Params, ph.name)
	case varHeader:
		reads.AddSources(Source{SourceHeader, ph.name})
	case varQueryKey:
		reads.AddSources(Source{SourceQuery, ph.name})
	case varBodyPath:
		if ph.each {
			reads.Each = addNew(reads.Each, Source{SourceBody, firstPath(ph.name)})
		} else {
			reads.AddSources(Source{SourceBody, ph.name})
		}
	case varFormField:
		reads.AddSources(Source{SourceForm, ph.name})
	case varFormJSON:
		reads.AddSources(Source{SourceFormJSON, ph.name})
	}
}

// firstPath replaces the stars of a path by the index of the first element.
func firstPath(path string) string {
	segments := splitUnescaped(path, '.')
	for i, s := range segments {
		if s == "*" {
			segments[i] = "0"
		}
	}
	return strings.Join(segments, ".")
}
