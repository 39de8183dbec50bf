package signature

import "strings"

// Reads returns everything that the scheme reads from a request: the places of signatures,
// stamps and ID, what is signed, and what a token's claims are compared with.
func (s *Scheme) Reads() Reads {
	var reads Reads
	for i := range s.lines {
		source := s.lines[i].source
		if len(s.spec.Signatures) > 0 && source.Kind == SourceHeader {
			// As it was written, since Caddy's options may want that spelling.
			source.Name = strings.TrimSuffix(s.spec.Signatures[i].Header, "*")
		}
		reads.AddSources(source)
		if when := s.lines[i].when; when != nil {
			reads.AddSources(when.Source)
		}
	}
	for _, stamp := range []*StampSpec{s.spec.Timestamp, s.spec.EventTime} {
		if stamp != nil {
			reads.AddSources(stamp.Source)
		}
	}
	reads.AddSources(s.spec.KeyID)
	reads.AddSources(s.spec.ID...)
	reads.AddSources(s.spec.KeyName)
	for _, allowed := range s.spec.Allowed {
		reads.AddSources(allowed.Source)
	}
	for _, c := range s.signed {
		reads.Add(c.Reads())
	}
	for _, c := range s.claims {
		reads.Add(c.Reads())
	}
	return reads
}
