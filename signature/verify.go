package signature

import (
	"crypto/hmac"
	"errors"
	"time"
)

// Verdict is what a verified request proved.
type Verdict struct {
	// Secret is the index of the secret that matched.
	Secret int
	// Time is the stamp, EventTime the event's own; zero where there is none.
	Time, EventTime time.Time
	// Parts are the stamp's text, the ID and nonce of the signature header or
	// of what is signed, and the claims of a token, for [Source.Read].
	Parts Parts
}

// Verify judges a whole request: Inspect, then Authenticate.
func (s *Scheme) Verify(r *Request, secrets []Secret, w Window, now time.Time) (Verdict, error) {
	var in Inspection
	if err := s.inspect(&in, r, w, now); err != nil {
		return Verdict{}, err
	}
	return s.Authenticate(&in, r, secrets, w, now)
}

// Inspect judges what the request line and the headers tell, before a body
// is read: that signatures are there and well-formed, and that the stamp is
// fresh where it is not in the body. r.Body may be nil.
//
// A scheme without signatures refuses everything here: for a provider that
// sends a token, [Scheme.Signed] is false and the caller checks the token,
// [Scheme.CheckHeaderStamps] and [Scheme.CheckStamps] instead.
func (s *Scheme) Inspect(r *Request, w Window, now time.Time) (Inspection, error) {
	var in Inspection
	err := s.inspect(&in, r, w, now)
	return in, err
}

func (s *Scheme) inspect(in *Inspection, r *Request, w Window, now time.Time) error {
	if len(s.lines) == 0 {
		return refuse(SignatureMissing, "the provider has no signature to check")
	}
	err := s.readHeaders(in, r)
	if err != nil {
		if s.inBody && isMissing(err) {
			return s.inspectStamp(r, w, now)
		}
		return err
	}
	return s.inspectGroups(in, r, w, now)
}

func isMissing(err error) bool {
	var refusal *Error
	return errors.As(err, &refusal) && refusal.Reason == SignatureMissing
}

// inspectStamp judges the stamp of a request whose signatures are in the body.
func (s *Scheme) inspectStamp(r *Request, w Window, now time.Time) error {
	t := s.spec.Timestamp
	if t == nil || t.Source.Kind != SourceHeader && t.Source.Kind != SourceQuery {
		return nil
	}
	return s.stamp(&readTime{}, r, &Parts{}, w, now)
}

// inspectGroups: each group of a Persona header has its own timestamp, and so
// has each token. One that is fresh is enough here, and the one that matches
// is judged again.
func (s *Scheme) inspectGroups(in *Inspection, r *Request, w Window, now time.Time) error {
	t := s.spec.Timestamp
	early := t != nil && !t.Source.inBody()
	if !early && s.spec.Named != namedJWT {
		return nil
	}
	var first error
	for i := range in.groups.count {
		p := in.groups.at(i)
		err := w.checkTokenTimes(p, now)
		if err == nil && early {
			err = s.stamp(&in.stamp, r, p, w, now)
		}
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// Authenticate computes the MACs of an inspected request whose body is there
// now, and then judges the stamp and the event time. in comes from Inspect on
// the same request.
func (s *Scheme) Authenticate(in *Inspection, r *Request, secrets []Secret, w Window, now time.Time) (Verdict, error) {
	var verdict Verdict
	err := s.authenticate(&verdict, in, r, secrets, now)
	if err != nil {
		return Verdict{}, err
	}
	// From here on the parts are those of the group that matched: a fresh time
	// next to another signature proves nothing about this one.
	if s.spec.Timestamp != nil {
		known, p := in.stamp, &verdict.Parts
		if s.signsTimestamp && p.Timestamp != "" {
			// What was read for the MAC is not read again.
			err = s.judgeStamp(&known, Value{Text: p.Timestamp, Found: true}, w, now)
		} else {
			err = s.stamp(&known, r, p, w, now)
		}
		if err != nil {
			return Verdict{}, err
		}
		verdict.Time, p.Timestamp = known.at, known.text
	}
	if err := w.checkTokenTimes(&verdict.Parts, now); err != nil {
		return Verdict{}, err
	}
	verdict.EventTime, err = s.eventTime(r, &verdict.Parts, w, now)
	if err != nil {
		return Verdict{}, err
	}
	return verdict, nil
}

// CheckHeaderStamps judges the stamp where it is not in the body, for
// providers that send a token and no signature.
func (s *Scheme) CheckHeaderStamps(r *Request, w Window, now time.Time) error {
	if t := s.spec.Timestamp; t == nil || t.Source.inBody() {
		return nil
	}
	return s.stamp(&readTime{}, r, &Parts{}, w, now)
}

// CheckStamps judges the stamp and the event time, wherever they are, of a
// request that was authenticated by other means: nothing here proves who sent
// it. The verdict holds the times.
func (s *Scheme) CheckStamps(r *Request, w Window, now time.Time) (Verdict, error) {
	var v Verdict
	var err error
	if s.spec.Timestamp != nil {
		var read readTime
		if err = s.stamp(&read, r, &Parts{}, w, now); err != nil {
			return Verdict{}, err
		}
		v.Time, v.Parts.Timestamp = read.at, read.text
	}
	if v.EventTime, err = s.eventTime(r, &Parts{}, w, now); err != nil {
		return Verdict{}, err
	}
	return v, nil
}

// authenticate finds the secret that a request was signed with, wherever its
// signatures are.
func (s *Scheme) authenticate(verdict *Verdict, in *Inspection, r *Request, secrets []Secret, now time.Time) error {
	switch {
	case s.items != "":
		return s.matchItems(verdict, r, secrets, now)
	case s.inBody:
		// A copy: in stays what the headers said, however often this is called.
		all := in.copy()
		if err := s.readSignatures(&all, r, true); err != nil {
			return err
		}
		return s.match(verdict, &all, r, r, secrets, now)
	case in.candidates.count == 0:
		return refuse(SignatureMissing, "no signature to check")
	}
	return s.match(verdict, in, r, r, secrets, now)
}

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

// checkMatched asks what can only be asked of bytes that the sender signed.
func (s *Scheme) checkMatched(r *Request, p *Parts) error {
	if err := s.checkClaims(r, p); err != nil {
		return err
	}
	return s.checkFields(r)
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

// single is the text of a value that can only mean one thing.
func single(v Value) string {
	if !v.Found || v.Bad || v.Repeated {
		return ""
	}
	return v.Text
}

// stamp reads and judges the timestamp. p holds the parts of the signature
// header's group.
func (s *Scheme) stamp(known *readTime, r *Request, p *Parts, w Window, now time.Time) error {
	return s.judgeStamp(known, s.stampSource.readPart(r, p, p.Timestamp), w, now)
}

// judgeStamp leaves in known what it read. What was there before counts where
// the text is the same, which then is not parsed again.
func (s *Scheme) judgeStamp(known *readTime, v Value, w Window, now time.Time) error {
	t := s.spec.Timestamp
	if !v.Found && !v.Bad && !v.Repeated {
		return refuse(TimestampMissing, "no %s", t.Source)
	}
	if known.text == "" || known.text != v.Text || v.Bad || v.Repeated {
		at, err := readStamp(t, v)
		if err != nil {
			return err
		}
		*known = readTime{v.Text, at}
	}
	return w.check(known.at, now, w.MaxAge, TimestampStale, "the timestamp")
}

// eventTime reads and judges the event's own time; many events have none.
func (s *Scheme) eventTime(r *Request, p *Parts, w Window, now time.Time) (time.Time, error) {
	e := s.spec.EventTime
	if e == nil {
		return time.Time{}, nil
	}
	v := s.eventSource.readPart(r, p, "")
	if !v.Found && !v.Bad && !v.Repeated {
		return time.Time{}, nil
	}
	at, err := readStamp(e, v)
	if err != nil {
		return time.Time{}, err
	}
	return at, w.check(at, now, w.EventTTL, EventExpired, "the event")
}

func readStamp(spec *StampSpec, v Value) (time.Time, error) {
	switch {
	case v.Repeated:
		return time.Time{}, refuse(TimestampMalformed, "%s was sent more than once", spec.Source)
	case v.Bad:
		return time.Time{}, refuse(TimestampMalformed, "%s is not a string or a number", spec.Source)
	}
	at, err := ParseStamp(v.Text, spec.Format)
	if err != nil {
		format := spec.Format
		if format == "" {
			format = "unix, unix_ms or rfc3339"
		}
		return time.Time{}, refuse(TimestampMalformed, "%s is not %s", spec.Source, format)
	}
	return at, nil
}
