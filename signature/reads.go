package signature

import "slices"

// Reads is what a template or a scheme reads from a request.
type Reads struct {
	// Sources are the headers, query keys, form fields and body paths, each once.
	Sources []Source
	// Each are the body paths with a star, of which every element is read. A 0
	// stands for the star here, so these are the sources of the first element.
	Each []Source
	// Params are the names of the provider's constants.
	Params []string
	// Body means that the whole body or form is read, through whatever functions.
	Body bool
	// RawBody means that the body is read as it was sent.
	RawBody bool
	// URL means that the scheme, the host, the path or the whole query is read.
	URL bool
}

// Headers are the names of the headers among the sources.
func (r Reads) Headers() []string {
	var names []string
	for _, s := range r.Sources {
		if name, ok := s.Header(); ok {
			names = append(names, name)
		}
	}
	return names
}

// Add adds what something else reads.
func (r *Reads) Add(more Reads) {
	r.AddSources(more.Sources...)
	r.Each = addNew(r.Each, more.Each...)
	r.Params = addNew(r.Params, more.Params...)
	r.Body, r.RawBody, r.URL = r.Body || more.Body, r.RawBody || more.RawBody, r.URL || more.URL
}

// AddSources adds sources. It leaves out the parts of a signature, as they are not
// places in a request.
func (r *Reads) AddSources(sources ...Source) {
	for _, s := range sources {
		switch {
		case s == wholeBody:
			r.Body, r.RawBody = true, true
		case s.Kind != SourceSignature && s.Kind != SourceClaim && s.Kind != "":
			r.Sources = addNew(r.Sources, s)
		}
	}
}

func addNew[T comparable](list []T, more ...T) []T {
	for _, v := range more {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}
