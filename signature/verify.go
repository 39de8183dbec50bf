package signature

import (
	"errors"
	"time"
)

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
