package signature

import (
	"slices"
	"strconv"
	"strings"
)

// Covers reports whether what s reads is under the MAC, whichever of the signed
// templates matched, so that it can be trusted. It is derived from the templates and
// never declared. A scheme without signatures covers nothing, and a value next to an
// open border (see [OpenBorders]) is not covered.
func (s *Scheme) Covers(source Source) bool { return signs(s, source, true) }

// Holds reports whether what s reads goes into what is under the MAC. Unless it is
// covered too, what is next to it may be taken for a part of it.
func Holds(s *Scheme, source Source) bool { return signs(s, source, false) }

func signs(s *Scheme, source Source, trusted bool) bool {
	if len(s.lines) == 0 {
		return false
	}
	if s.spec.Items != "" {
		switch source.Kind {
		case SourceBody:
			path, ok := inItem(s.spec.Items, source.Name)
			if !ok {
				return false
			}
			source.Name = path
		case SourceForm, SourceFormJSON:
			return false
		}
	}
	// A token signs its claims, which are compared with the request. All of them
	// must match, so one that covers the source is enough.
	if slices.ContainsFunc(s.claims, func(c *claim) bool { return !c.optional && signedBy(s, c, source, trusted) }) {
		return true
	}
	return !slices.ContainsFunc(s.signed, func(c content) bool { return !signedBy(s, c, source, trusted) && !mustLack(c, source) })
}

// mustLack reports whether a request that matches a template may not have what is at the
// source, as other templates sign it: where it is there, it is signed.
func mustLack(c content, source Source) bool {
	t, ok := c.(*templateContent)
	return ok && slices.ContainsFunc(t.absent, func(absent Source) bool {
		return absent == source || source.Kind == SourceBody && source.Name != "" && holdsPath(absent.Name, source.Name)
	})
}

// CoversBody reports whether the whole body is under the signature. Where it is
// not, a captured signature is valid for any event that has the same signed
// fields. [Scheme.Covers] reports which fields those are.
func (s *Scheme) CoversBody() bool {
	if len(s.lines) == 0 || s.spec.Items != "" {
		return false
	}
	if !slices.ContainsFunc(s.lines, func(l signatureLine) bool { return l.source != wholeBody }) {
		return true // the whole body is a token
	}
	return Holds(s, wholeBody)
}

// IsBearer reports whether the signature is a token that says nothing of the request beside
// it: whoever has the token can write any request.
func IsBearer(s *Scheme) bool {
	inBody := func(l signatureLine) bool { return l.source.inBody() }
	ofRequest := func(c *claim) bool {
		return c.hasPlaceholder(func(ph placeholder) bool { return ph.variable != varParam })
	}
	return s.spec.Named == namedJWT && !slices.ContainsFunc(s.lines, inBody) && !slices.ContainsFunc(s.claims, ofRequest)
}

// SignsEvent reports whether what is signed holds the body, or a value in it that no request
// may lack. Where it does not, two events can be signed alike but for their stamps.
func SignsEvent(s *Scheme) bool {
	ofBody := func(ph placeholder) bool {
		source, ok := sourceOf(&ph)
		inBody := ph.variable == varBody || ph.variable == varFormSorted || ok && source.inBody()
		return inBody && !slices.Contains(ph.funcs, optional)
	}
	if s.spec.Named == namedJWT {
		inBody := func(l signatureLine) bool { return l.source.inBody() }
		return len(s.lines) > 0 && !slices.ContainsFunc(s.lines, func(l signatureLine) bool { return !inBody(l) }) ||
			slices.ContainsFunc(s.claims, func(c *claim) bool { return !c.optional && c.hasPlaceholder(ofBody) })
	}
	return len(s.lines) > 0 && !slices.ContainsFunc(s.signed, func(c content) bool {
		t, ok := c.(*templateContent)
		return ok && !t.hasPlaceholder(ofBody) // the schemes without a template hold the body
	})
}

// SignsNonce reports whether what is signed holds a random value that is new for each request.
func SignsNonce(s *Scheme) bool {
	return len(s.signed) > 0 && !slices.ContainsFunc(s.signed, func(c content) bool { return !c.uses(varNonce) })
}

// CoveredFields returns the parts of the body that are signed in every request
// where the whole is not; none where no part is. With items, they begin at the
// element.
func (s *Scheme) CoveredFields() []Source {
	if s.CoversBody() {
		return nil
	}
	var fields []Source
	for _, c := range s.signed {
		fields = addNew(fields, c.Reads().Sources...)
	}
	for _, c := range s.claims {
		if !c.optional {
			fields = addNew(fields, c.Reads().Sources...)
		}
	}
	return slices.DeleteFunc(fields, func(f Source) bool {
		return !f.inBody() || s.spec.Items == "" && !Holds(s, f) || slices.ContainsFunc(s.signed, func(c content) bool { return mustLack(c, f) })
	})
}

func signedBy(s *Scheme, c content, source Source, trusted bool) bool {
	signs, uses := c.holds, c.uses
	if trusted {
		signs, uses = c.covers, c.trusts
	}
	if signs(source) {
		return true
	}
	stamp := s.spec.Timestamp != nil && sameSource(s.spec.Timestamp.Source, source)
	id := len(s.spec.ID) == 1 && sameSource(s.spec.ID[0], source)
	// The source signature is the stamp, the ID or both, and a scheme in
	// which only one of them is signed must not count the other as signed.
	return (stamp || id) && (!stamp || uses(varTimestamp)) && (!id || uses(varID))
}

func sameSource(a, b Source) bool {
	if a.Kind == SourceHeader {
		return b.Kind == SourceHeader && strings.EqualFold(a.Name, b.Name)
	}
	return a == b
}

// inItem returns a path of the whole body as it is within its element.
func inItem(items, path string) (string, bool) {
	outer, err := splitPath(items)
	if err != nil {
		return "", false
	}
	segments := splitUnescaped(path, '.')
	if len(segments) <= len(outer)+1 || !holdsPath(items, path) {
		return "", false
	}
	if _, err := strconv.Atoi(segments[len(outer)]); err != nil {
		return "", false
	}
	return strings.Join(segments[len(outer)+1:], "."), true
}
