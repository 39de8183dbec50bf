package signature

import (
	"errors"
	"time"
)

// Verify judges a whole request: Inspect, then Authenticate.
func (s *Scheme) Verify(r *Request, secrets []Secret, w Window, now time.Time) (Verdict, error) {
	in, err := s.Inspect(r, w, now)
	if err != nil {
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
func (s *Scheme) Inspect(r *Request, w Window, now time.Time) (in Inspection, err error) {
	if len(s.lines) == 0 {
		return in, refuse(SignatureMissing, "the provider has no signature to check")
	}
	c := clock{s, r, w, now}
	err = readSignatures(&in, s.lines, r, false)
	switch {
	case err == nil:
		err = c.inspect(&in)
	case s.inBody && isMissing(err):
		err = c.inspectUnread()
	}
	return in, err
}

func isMissing(err error) bool {
	var refusal *Error
	return errors.As(err, &refusal) && refusal.Reason == SignatureMissing
}

// Authenticate computes the MACs of an inspected request whose body is there
// now, and then judges the stamp and the event time. in comes from Inspect on
// the same request.
func (s *Scheme) Authenticate(in *Inspection, r *Request, secrets []Secret, w Window, now time.Time) (Verdict, error) {
	var verdict Verdict
	m := matcher{s, r, secrets, now}
	if err := m.authenticate(&verdict, in); err != nil {
		return Verdict{}, err
	}
	c := clock{s, r, w, now}
	if err := c.matched(&verdict, in.stamp); err != nil {
		return Verdict{}, err
	}
	return verdict, nil
}

// authenticate finds the secret, wherever the signatures are.
func (m *matcher) authenticate(verdict *Verdict, in *Inspection) error {
	switch {
	case m.scheme.spec.Items != "":
		return m.matchItems(verdict)
	case m.scheme.inBody:
		return m.matchInBody(verdict, in)
	case in.candidates.count == 0:
		return refuse(SignatureMissing, "no signature to check")
	}
	return m.match(verdict, in, m.r)
}

// matchInBody reads the signatures that are in the body too. It has a frame of its own,
// as what it holds is large.
func (m *matcher) matchInBody(verdict *Verdict, in *Inspection) error {
	// A copy: in stays what the headers said, however often this is called.
	all := in.copy()
	if err := readSignatures(&all, m.scheme.lines, m.r, true); err != nil {
		return err
	}
	return m.match(verdict, &all, m.r)
}

// CheckHeaderStamps judges the stamp where it is not in the body, for
// providers that send a token and no signature.
func (s *Scheme) CheckHeaderStamps(r *Request, w Window, now time.Time) error {
	c := clock{s, r, w, now}
	return c.inspectUnread()
}

// CheckStamps judges the stamp and the event time, wherever they are, of a
// request that was authenticated by other means: nothing here proves who sent
// it. The verdict holds the times.
func (s *Scheme) CheckStamps(r *Request, w Window, now time.Time) (Verdict, error) {
	var verdict Verdict
	c := clock{s, r, w, now}
	if err := c.matched(&verdict, readTime{}); err != nil {
		return Verdict{}, err
	}
	return verdict, nil
}
