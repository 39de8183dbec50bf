package signature

import (
	"crypto/hmac"
	"encoding/json"
	"time"
)

// match finds the secret and the candidate that belong together, and leaves in
// the verdict which secret and which parts they are; after an error, it is of no
// use. item is what was signed: r itself, or an element of its body.
func (s *Scheme) match(verdict *Verdict, in *Inspection, r, item *Request, secrets []Secret, now time.Time) error {
	var unusable error // why a MAC could not be computed at all
	var other error    // why a request is not the one that was signed
	// Leaving at the first match tells a sender which of its own secrets it
	// used, and nobody else anything.
	computed, tried := false, false
	for i, secret := range secrets {
		if !secret.InForce(now) {
			continue
		}
		tried = true
		for g := range in.groups.count {
			parts := &verdict.Parts
			*parts = *in.groups.at(g)
			s.resolve(parts, r)
			for _, c := range s.signed {
				ok, err := s.matchGroup(in, g, secret.Key, c, item, parts)
				if ok {
					if err = s.checkMatched(item, parts); err == nil {
						verdict.Secret = i
						return nil
					}
					other = err
				}
				if err != nil {
					unusable = err
				} else {
					computed = true
				}
			}
		}
	}
	switch {
	case !tried:
		return refuse(SignatureInvalid, "no secret is in force")
	case other != nil:
		return other
	case !computed && unusable != nil:
		return unusable
	}
	return refuse(SignatureInvalid, "no secret matches")
}

// matchGroup compares the candidates of one group with the MACs of one key
// and one content: one MAC or digest per algorithm, not per candidate.
func (s *Scheme) matchGroup(in *Inspection, group int, key *Key, c content, r *Request, p *Parts) (bool, error) {
	for _, a := range s.algorithms {
		if !key.fits(a) || !s.hasCandidate(in, group, a) {
			continue
		}
		st := key.state(a)
		err := c.hash(st, r, *p)
		matched := err == nil && s.matchHash(in, group, a, key, st)
		key.done(a, st)
		if matched || err != nil {
			return matched, err
		}
	}
	return false, nil
}

// matchHash compares all candidates, in constant time, whatever has matched.
func (s *Scheme) matchHash(in *Inspection, group int, a algorithm, key *Key, st *macState) bool {
	mac := st.digest()
	matched := false
	for i := range in.candidates.count {
		c := in.candidates.at(i)
		l := &s.lines[c.line]
		if c.group != group || l.algorithm != a {
			continue
		}
		if a.kind() != asymmetric {
			matched = hmac.Equal(mac, c.mac[:len(mac)]) || matched
			continue
		}
		// Nothing here is secret, so the first that holds is enough.
		signature, ok := l.encoding.decode(c.text)
		if ok && key.verifies(a, mac, signature, l.jwt) {
			return true
		}
	}
	return matched
}

func (s *Scheme) hasCandidate(in *Inspection, group int, a algorithm) bool {
	for i := range in.candidates.count {
		c := in.candidates.at(i)
		if c.group == group && s.lines[c.line].algorithm == a {
			return true
		}
	}
	return false
}

// resolve puts the texts that {timestamp} and {id} stand for into the parts
// of a group. What is missing stays empty, and is refused where it is signed.
func (s *Scheme) resolve(p *Parts, r *Request) {
	// Only what is signed: a body is not parsed before its MAC has matched.
	if s.signsTimestamp {
		p.Timestamp = single(s.stampSource.readPart(r, p, p.Timestamp))
	}
	if s.signsID {
		p.ID = single(s.idSource.readPart(r, p, p.ID))
	}
}

// checkMatched asks what can only be asked of bytes that the sender signed.
func (s *Scheme) checkMatched(r *Request, p *Parts) error {
	if err := s.checkClaims(r, p); err != nil {
		return err
	}
	return s.checkFields(r)
}

// checkClaims compares the claims of a token whose signature holds with what
// the request is.
func (s *Scheme) checkClaims(r *Request, p *Parts) error {
	for i := range s.claims {
		c := s.claims[i]
		text, kind := readJSON([]byte(p.claims), c.name)
		if kind == jsonMissing {
			// MessageBird leaves the digest of an empty body out. With a body
			// there has to be one.
			if c.optional || len(r.Body) == 0 && c.readsBody() {
				continue
			}
			return refuse(SignatureMalformed, "the token has no claim %s", c.name)
		}
		want, err := c.Append(nil, r, *p, c.params)
		if err != nil {
			return err
		}
		if kind == jsonNested || !hmac.Equal(want, []byte(text)) {
			return refuse(SignatureInvalid, "claim %s is not that of this request", c.name)
		}
	}
	return nil
}

// checkFields is for requests of which only some fields are signed, and is
// asked once they are known to be: a second "id", or JSON that parsers read
// in different ways, would show the app something that the guard did not see.
func (s *Scheme) checkFields(r *Request) error {
	if len(s.fields) == 0 {
		return nil
	}
	body := ""
	for _, f := range s.fields {
		var text string
		path := f.Name
		if f.Kind == SourceFormJSON {
			field, rest, err := splitFormJSON(f.Name)
			if err != nil {
				return err
			}
			text, path = readFormBody(r, field).Text, rest
		} else {
			if body == "" {
				body = string(r.Body)
			}
			text = body
		}
		if !json.Valid([]byte(text)) {
			return refuse(SignatureMalformed, "%s is signed, and what it is in is not JSON", f)
		}
		if !uniqueJSON(text, path) {
			return refuse(SignatureMalformed, "%s is signed and was sent more than once", f)
		}
	}
	return nil
}
