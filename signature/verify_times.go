package signature

import "time"

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
