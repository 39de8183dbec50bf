package signature

import (
	"crypto/hmac"
	"time"
)

// matcher finds the secret that a request was signed with.
type matcher struct {
	scheme  *Scheme
	r       *Request // the whole of it, where stamp and ID are
	secrets []Secret
	now     time.Time
}

// match finds the secret and the candidate that belong together, and sets the
// secret and the parts of the verdict, which is undefined after an error. item
// is what was signed: the request itself, or an element of its body.
func (m *matcher) match(verdict *Verdict, in *Inspection, item *Request) error {
	var why mismatch
	// Returning at the first match reveals to a sender which of its own secrets
	// it used, and nothing to anybody else.
	tried, named := false, false
	for i, secret := range m.secrets {
		if !secret.InForce(m.now) {
			continue
		}
		tried = true
		for g := range in.groups.count {
			if !secret.is(in.groups.at(g).keyID) {
				continue
			}
			named = true
			key, err := m.keyOf(secret.Key, in.groups.at(g))
			if err != nil {
				why.other = err
				continue
			}
			if m.matchURLs(verdict, in, g, key, item, &why) {
				verdict.Secret = i
				return nil
			}
		}
	}
	switch {
	case !tried:
		return refuse(SignatureInvalid, "no secret is in force")
	case why.other != nil:
		return why.other
	case !why.computed && why.unusable != nil:
		return why.unusable
	}
	refused := refuse(SignatureInvalid, "no secret matches")
	if m.scheme.spec.KeySet {
		refused.OtherKey = true
		if refused.KeyNamed = !named; !named {
			refused.Detail = "no key of the set has the ID that the token names"
		}
	}
	return refused
}

// mismatch is why nothing has matched so far.
type mismatch struct {
	computed bool  // a MAC was computed
	unusable error // why a MAC could not be computed at all
	other    error // why a request is not the one that was signed
}

// matchURLs tries a key on one group: with the URL as given, and where the scheme signs
// the URL with its other spellings. It sets the verdict's parts, content and spelling.
func (m *matcher) matchURLs(verdict *Verdict, in *Inspection, group int, key *Key, item *Request, why *mismatch) bool {
	parts := &verdict.Parts
	*parts = *in.groups.at(group)
	resolve(m.scheme, parts, m.r)
	verdict.spelling = 0
	if m.matchContents(verdict, in, group, key, item, why) {
		return true
	}
	if m.scheme.url == (urlUse{}) || !why.computed && why.other == nil {
		return false
	}
	for i, other := range m.scheme.url.spellings(item) {
		verdict.spelling = i + 1
		if m.matchContents(verdict, in, group, key, &other, why) {
			return true
		}
	}
	return false
}

func (m *matcher) matchContents(verdict *Verdict, in *Inspection, group int, key *Key, r *Request, why *mismatch) bool {
	for n, c := range m.scheme.signed {
		ok, err := m.matchGroup(in, group, key, c, r, &verdict.Parts)
		if ok {
			if err = checkMatched(m.scheme, c, r, &verdict.Parts); err == nil {
				verdict.content = n
				return true
			}
			if why.other == nil {
				why.other = err // of the URL as it was given
			}
		}
		if err != nil {
			why.unusable = err
		} else {
			why.computed = true
		}
	}
	return false
}

// matchGroup compares the candidates of one group with the MACs of one key
// and one content: one MAC or digest per algorithm, not per candidate.
func (m *matcher) matchGroup(in *Inspection, group int, key *Key, c content, r *Request, p *Parts) (bool, error) {
	for _, a := range m.scheme.algorithms {
		if !key.fits(a) || !m.hasCandidate(in, group, a) {
			continue
		}
		st := key.state(a)
		err := hashContent(st, c, r, p)
		matched := err == nil && m.matchHash(in, group, a, key, st)
		key.done(a, st)
		if matched || err != nil {
			return matched, err
		}
	}
	return false, nil
}

// matchHash compares all candidates in constant time, even after a match.
func (m *matcher) matchHash(in *Inspection, group int, a algorithm, key *Key, st *macState) bool {
	mac := st.digest()
	matched := false
	for i := range in.candidates.count {
		c := in.candidates.at(i)
		l := &m.scheme.lines[c.line]
		if c.group != group || l.algorithm != a {
			continue
		}
		if a.kind() != asymmetric {
			matched = hmac.Equal(mac, c.mac[:len(mac)]) || matched
			continue
		}
		// Nothing here is secret, so the first that verifies is enough.
		signature, ok := l.encoding.decode(c.text)
		if ok && key.verifies(a, mac, signature, isToken(l)) {
			return true
		}
	}
	return matched
}

func (m *matcher) hasCandidate(in *Inspection, group int, a algorithm) bool {
	for i := range in.candidates.count {
		c := in.candidates.at(i)
		if c.group == group && m.scheme.lines[c.line].algorithm == a {
			return true
		}
	}
	return false
}

// resolve puts the texts that {timestamp} and {id} stand for into the parts
// of a group. What is missing stays empty, and is refused where it is signed.
func resolve(s *Scheme, p *Parts, r *Request) {
	// Only what is signed: a body is not parsed before its MAC has matched.
	if s.signsTimestamp {
		p.Timestamp = single(s.stampSource.readPart(r, p, p.Timestamp))
	}
	if s.signsID {
		p.ID = single(s.idSource.readPart(r, p, p.ID))
	}
}
