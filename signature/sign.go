package signature

import (
	"fmt"
	"strings"
	"time"
)

// Sign makes r a request of the provider's: it sets the stamp's header, the
// ID's header and the signature headers, as the sender would. What the scheme
// keeps elsewhere (a stamp or an ID in the body, a header that is signed, the
// URL) has to be in r already; the error says what is missing.
//
// at is written where the stamp is a header's or the signature's. An empty id
// leaves the ID header as it is. A nonce in the signature header is the id,
// or the time where there is none.
func (s *Scheme) Sign(r *Request, key *Key, at time.Time, id string) error {
	if len(s.headers) == 0 {
		return fmt.Errorf("signing: the provider does not sign")
	}
	if !key.usable() {
		return fmt.Errorf("signing: the secret is empty")
	}
	if r.Header == nil {
		r.Header = make(map[string][]string)
	}
	parts, err := s.signedParts(r, at, id)
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	set := make(map[string]bool)
	for i := range s.headers {
		h := &s.headers[i]
		name := h.name
		if h.numbered {
			name += "1"
		}
		// Two lines for one header are two shapes to read; a sender writes one.
		if set[name] {
			continue
		}
		set[name] = true
		if err := h.sign(r, name, key, s.signed[0], parts); err != nil {
			return fmt.Errorf("signing: %w", err)
		}
	}
	return nil
}

// signedParts sets the headers of stamp and ID and returns what the signature
// header and the templates say of them.
func (s *Scheme) signedParts(r *Request, at time.Time, id string) (Parts, error) {
	p := Parts{ID: id}
	if t := s.spec.Timestamp; t != nil {
		p.Timestamp = FormatStamp(at, t.Format)
		if t.Source.Kind == SourceHeader {
			r.Header[canonical(t.Source.Name)] = []string{p.Timestamp}
		}
	} else {
		p.Timestamp = FormatStamp(at, formatUnix)
	}
	// A random nonce would need a source of chance, and nothing here depends
	// on its being random: verifiers of these senders only sign it along.
	p.Nonce = id
	if p.Nonce == "" {
		p.Nonce = FormatStamp(at, formatUnixMS)
	}
	if len(s.spec.ID) == 1 && s.spec.ID[0].Kind == SourceHeader && id != "" {
		r.Header[canonical(s.spec.ID[0].Name)] = []string{id}
	}
	if t := s.spec.Timestamp; t != nil && single(t.Source.read(r, p.Timestamp)) == "" {
		return p, fmt.Errorf("the request has no %s for the timestamp", t.Source)
	}
	return s.resolve(r, p), nil
}

// sign sets one signature header, and reads it back: an ID that holds the
// format's own separators would be a signature that never verifies.
func (h *signatureHeader) sign(r *Request, name string, key *Key, c content, p Parts) error {
	st := key.state(h.algorithm)
	defer key.done(h.algorithm, st)
	if err := c.hash(st, r, p); err != nil {
		return err
	}
	value := h.format.write(h.encoding.encode(st.hash.Sum(st.sum[:0])), p)
	r.Header[name] = []string{value}

	alone := &Scheme{headers: []signatureHeader{*h}}
	var in Inspection
	if err := alone.readHeaders(&in, r); err != nil {
		return fmt.Errorf("the value does not fit the format: %w", err)
	}
	got := in.groups[0]
	for _, part := range []struct{ name, want, got string }{
		{"timestamp", p.Timestamp, got.Timestamp}, {"id", p.ID, got.ID}, {"nonce", p.Nonce, got.Nonce},
	} {
		if h.format.has(formatVariables[part.name]) && part.want != part.got {
			return fmt.Errorf("the %s does not fit the format of header %s: %s", part.name, name,
				strings.Join(h.format.separators, " "))
		}
	}
	return nil
}
