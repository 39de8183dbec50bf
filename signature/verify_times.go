package signature

import "time"

// clock checks the times of one request.
type clock struct {
	scheme *Scheme
	r      *Request
	window Window
	now    time.Time
}

// inspect checks what can be checked before the body is read. Each group of a
// Persona header has its own timestamp, and so has each token. One that is
// fresh is enough here, and the one that matches is checked again.
func (c *clock) inspect(in *Inspection) error {
	t := c.scheme.spec.Timestamp
	early := t != nil && !t.Source.inBody()
	if !early && c.scheme.spec.Named != namedJWT {
		return nil
	}
	var first error
	for i := range in.groups.count {
		p := in.groups.at(i)
		err := c.window.checkTokenTimes(p, c.now)
		if err == nil && early {
			err = c.stamp(&in.stamp, p)
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

// inspectUnread is inspect for a request whose signatures are in the body.
func (c *clock) inspectUnread() error {
	t := c.scheme.spec.Timestamp
	if t == nil || t.Source.Kind != SourceHeader && t.Source.Kind != SourceQuery {
		return nil
	}
	return c.stamp(&readTime{}, &Parts{})
}

// matched checks the times that belong to the signature that matched and stores them in
// the verdict. A fresh time next to another signature proves nothing about this one.
// known is a stamp that was read before.
func (c *clock) matched(verdict *Verdict, known readTime) error {
	p := &verdict.Parts
	if c.scheme.spec.Timestamp != nil {
		var err error
		if c.scheme.signsTimestamp && p.Timestamp != "" {
			// What was read for the MAC is not read again.
			err = c.judge(&known, Value{Text: p.Timestamp, Found: true})
		} else {
			err = c.stamp(&known, p)
		}
		if err != nil {
			return err
		}
		verdict.Time, p.Timestamp = known.at, known.text
	}
	if err := c.window.checkTokenTimes(p, c.now); err != nil {
		return err
	}
	var err error
	verdict.EventTime, err = c.eventTime(p)
	return err
}

// stamp reads and judges the timestamp. p holds the parts of the signature
// header's group.
func (c *clock) stamp(known *readTime, p *Parts) error {
	return c.judge(known, c.scheme.stampSource.readPart(c.r, p, p.Timestamp))
}

// judge sets known to what it read. It does not parse a text again that known has.
func (c *clock) judge(known *readTime, v Value) error {
	t := c.scheme.spec.Timestamp
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
	return c.window.check(known.at, c.now, c.window.MaxAge, TimestampStale, "the timestamp")
}

// eventTime reads and judges the event's own time. Where it is signed and missing, nothing
// bounds for how long the request can be sent again.
func (c *clock) eventTime(p *Parts) (time.Time, error) {
	e := c.scheme.spec.EventTime
	if e == nil {
		return time.Time{}, nil
	}
	v := c.scheme.eventSource.readPart(c.r, p, "")
	if !v.Found && !v.Bad && !v.Repeated {
		if e.Optional || len(c.scheme.lines) == 0 {
			return time.Time{}, nil
		}
		return time.Time{}, refuse(TimestampMalformed, "the event has no %s; if the sender leaves it out of some, write event_time … optional", e.Source)
	}
	at, err := readStamp(e, v)
	if err != nil {
		return time.Time{}, err
	}
	return at, c.window.check(at, c.now, c.window.EventTTL, EventExpired, "the event")
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
