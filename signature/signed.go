package signature

import (
	"bytes"
	"encoding/binary"
	"hash"
	"maps"
	"slices"
	"strings"
)

// AsSigned is the request that the verdict of s is about, with its URL in the spelling
// that the sender signed. Whoever sends the request again under another spelling of its
// URL gets the same one.
func (v *Verdict) AsSigned(s *Scheme, r Request) Request {
	if v.spelling == 0 {
		return r
	}
	if others := s.url.spellings(&r); v.spelling <= len(others) {
		return others[v.spelling-1]
	}
	return r
}

// HashSigned writes what the signature of a verified request covers into h, in the
// canonical form that was put under the MAC: whoever sends the request again cannot
// change it, however body, headers or URL are written anew. The verdict is that of s
// on r.
func (v *Verdict) HashSigned(s *Scheme, h hash.Hash, r *Request) error {
	return hashSigned(s, h, r, v.Parts, v.content)
}

// HashEvent is HashSigned without what may be new on each attempt: the stamp, unless it
// is known to be the event's, and of a token all but the claims that vouch for the request.
func (v *Verdict) HashEvent(s *Scheme, h hash.Hash, r *Request) error {
	if s.spec.Named == namedJWT && len(s.claims) > 0 {
		return hashClaims(s, h, r, v.Parts)
	}
	timeless, parts := *r, v.Parts
	// A stamp next to an open border may hold a part of its neighbour, so it stays.
	if t := s.spec.Timestamp; t != nil && t.Renewed() && s.Covers(t.Source) == Holds(s, t.Source) {
		blankStamp(s, &timeless, &parts)
	}
	return hashSigned(s, h, &timeless, parts, v.content)
}

// blank takes the place of what is left out: what is signed may not be empty.
const blank = "-"

func hashSigned(s *Scheme, h hash.Hash, r *Request, parts Parts, content int) error {
	c := s.signed[content]
	if s.spec.Items == "" {
		return c.hash(&macState{hash: h, secret: []byte(blank)}, r, parts)
	}
	requests, err := elements(r, s.spec.Items)
	if err != nil {
		return err
	}
	return c.hash(&macState{hash: h, secret: []byte(blank)}, &requests[0], parts)
}

// SignedHolds reports whether the names of fields are in the text that the signature of a
// verified request covers, wherever their values end there.
func (v *Verdict) SignedHolds(s *Scheme, r *Request, fields []Source) bool {
	text := &message{}
	if err := hashSigned(s, text, r, v.Parts, v.content); err != nil {
		return false
	}
	return !slices.ContainsFunc(fields, func(field Source) bool { return !bytes.Contains(text.text, []byte(field.Name)) })
}

// hashClaims writes what the claims of a token say of the request, each after its length. A
// claim that may be missing vouches for nothing.
func hashClaims(s *Scheme, h hash.Hash, r *Request, parts Parts) error {
	for _, c := range s.claims {
		if c.optional {
			continue
		}
		text, err := c.Append(nil, r, parts, c.params)
		if err != nil {
			return err
		}
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		h.Write(size[:])
		h.Write(text)
	}
	return nil
}

// blankStamp takes the stamp out of a request, wherever a template may read it.
func blankStamp(s *Scheme, r *Request, parts *Parts) {
	parts.Timestamp = blank
	switch source := s.stampSource; source.Kind {
	case SourceHeader:
		if _, there := r.Header[source.Name]; there {
			r.Header = maps.Clone(r.Header)
			r.Header[source.Name] = []string{blank}
		}
	case SourceQuery:
		r.Query = WithoutQueryKey(r.Query, source.Name)
	}
}

// WithoutQueryKey cuts a key out of a query and leaves the rest as it is.
func WithoutQueryKey(query, key string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if !isFormKey([]byte(name), key) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}
