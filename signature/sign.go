package signature

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/sjson"
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
	if len(s.lines) == 0 {
		return fmt.Errorf("signing: the provider does not sign")
	}
	if !key.usable() {
		return fmt.Errorf("signing: the secret is empty")
	}
	if r.Header == nil {
		r.Header = make(map[string][]string)
	}
	parts, err := signedParts(s, r, at, id)
	if err == nil {
		err = putKeyName(s.spec.KeyID.canonical(), r, key)
	}
	if err == nil {
		sg := signer{s, key, parts}
		err = sg.sign(r)
	}
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	return nil
}

// signer signs requests with one key. parts are what the signature header and
// the templates say of stamp and ID.
type signer struct {
	scheme *Scheme
	key    *Key
	parts  Parts
}

// sign signs a request, or each element of its list on its own.
func (sg *signer) sign(r *Request) error {
	items := sg.scheme.spec.Items
	if items == "" {
		return sg.signLines(r)
	}
	requests, err := elements(r, items)
	if err != nil {
		return err
	}
	for i := range requests {
		if err := sg.signLines(&requests[i]); err != nil {
			return err
		}
		path := items + "." + strconv.Itoa(i)
		if r.Body, err = sjson.SetRawBytes(r.Body, path, requests[i].Body); err != nil {
			return fmt.Errorf("body %s cannot be written", path)
		}
	}
	return nil
}

// signLines signs in every place that a sender of this scheme signs in.
func (sg *signer) signLines(r *Request) error {
	set := make(map[Source]bool)
	for i := range sg.scheme.lines {
		l := &sg.scheme.lines[i]
		// Two lines for one place are two formats to read; a sender writes one.
		if set[l.source] || !l.applies(r) {
			continue
		}
		set[l.source] = true
		if err := sg.signLine(l, r); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return errors.New("the request is of no kind that the signature lines describe")
	}
	return nil
}

// signedParts sets the headers of stamp and ID and returns what the signature
// header and the templates say of them.
func signedParts(s *Scheme, r *Request, at time.Time, id string) (Parts, error) {
	p := Parts{ID: id}
	if t := s.spec.Timestamp; t != nil {
		p.Timestamp = FormatStamp(at, t.Format)
		if t.Source.Kind == SourceHeader {
			r.Header[s.stampSource.Name] = []string{p.Timestamp}
		}
	} else {
		p.Timestamp = FormatStamp(at, formatUnix)
	}
	// The nonce need not be random: verifiers of these senders only include it
	// in the signed bytes.
	p.Nonce = id
	if p.Nonce == "" {
		p.Nonce = FormatStamp(at, formatUnixMS)
	}
	if len(s.spec.ID) == 1 && s.spec.ID[0].Kind == SourceHeader && id != "" {
		r.Header[s.idSource.Name] = []string{id}
	}
	if t := s.spec.Timestamp; t != nil && t.Source.Kind != SourceClaim && single(s.stampSource.read(r, p.Timestamp)) == "" {
		return p, fmt.Errorf("the request has no %s for the timestamp", t.Source)
	}
	resolved := p
	resolve(s, &resolved, r)
	if t := s.spec.Timestamp; t != nil && t.Source.Kind == SourceClaim {
		resolved.Timestamp = p.Timestamp // the token is yet to be made
	}
	if len(s.spec.ID) == 1 && s.spec.ID[0].Kind == SourceClaim {
		resolved.ID = p.ID
	}
	return resolved, nil
}

// signLine writes one signature, and reads it back: an ID that holds the
// format's own separators would be a signature that never verifies.
func (sg *signer) signLine(l *signatureLine, r *Request) error {
	key, p := sg.key, sg.parts
	if err := l.checkKey(key); err != nil {
		return err
	}
	token := p
	switch {
	case l.jwt:
		var err error
		if token, err = newToken(sg.scheme, l, key, r, p); err != nil {
			return err
		}
	case l.detached:
		token.token = newDetachedHeader(l)
	}
	st := key.state(l.algorithm)
	defer key.done(l.algorithm, st)
	if err := hashFitting(sg.scheme.signed, st, r, &token); err != nil {
		return err
	}
	mac := st.digest()
	if l.algorithm.kind() == asymmetric {
		var err error
		if mac, err = key.signs(l.algorithm, mac, isToken(l)); err != nil {
			return err
		}
	}
	text := l.encoding.encode(mac)
	switch {
	case l.jwt:
		text = token.token + "." + text
	case l.detached:
		text = token.token + ".." + text
	}
	if err := l.put(r, l.format.write(text, p)); err != nil {
		return err
	}
	return l.readBack(r, p)
}

// hashFitting writes the first content that a request has all of, and that leaves out nothing
// which another would sign.
func hashFitting(contents []content, st *macState, r *Request, p *Parts) (err error) {
	for _, c := range contents {
		if t, ok := c.(*templateContent); ok && checkAbsent(t.absent, r) != nil {
			continue
		}
		st.hash.Reset()
		wrong := hashContent(st, c, r, p)
		if wrong == nil {
			return nil
		}
		if err == nil {
			err = wrong
		}
	}
	return err
}

func (l *signatureLine) readBack(r *Request, p Parts) error {
	var in Inspection
	if err := readSignatures(&in, []signatureLine{*l}, r, l.source.inBody()); err != nil {
		return fmt.Errorf("the value does not fit the format: %w", err)
	}
	got := in.groups.at(0)
	for _, part := range []struct{ name, want, got string }{
		{"timestamp", p.Timestamp, got.Timestamp}, {"id", p.ID, got.ID}, {"nonce", p.Nonce, got.Nonce},
	} {
		if l.format.has(formatVariables[part.name]) && part.want != part.got {
			return fmt.Errorf("the %s does not fit the format of %s: %s", part.name, l, strings.Join(l.format.separators, " "))
		}
	}
	return nil
}
