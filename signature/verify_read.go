package signature

import "strings"

// readHeaders collects the candidates of all signatures that are there before
// the body is.
func (s *Scheme) readHeaders(in *Inspection, r *Request) error {
	return s.readSignatures(in, r, false)
}

// readSignatures collects the candidates of all signature lines that are in
// the body, or of all that are not. Malformed ones are passed over as long as
// there is a well-formed one.
func (s *Scheme) readSignatures(in *Inspection, r *Request, inBody bool) error {
	var malformed *Error
	present := false
	keep := func(i int, problem string) {
		present = true
		if problem != "" && malformed == nil {
			malformed = refuse(SignatureMalformed, "%s %s", &s.lines[i], problem)
		}
	}
	for i := range s.lines {
		l := &s.lines[i]
		if l.source.inBody() != inBody {
			continue
		}
		if !l.isHeader() {
			v := l.read(r)
			switch {
			case v.Repeated || v.Bad:
				return refuse(SignatureMalformed, "%s was sent more than once or cannot be read", l)
			case v.Found:
				keep(i, s.readValue(in, i, v.Text))
			}
		} else if err := s.readHeaderLine(in, i, r, keep); err != nil {
			return err
		}
		if in.seen > maxCandidates {
			return refuse(SignatureMalformed, "more than %d signatures", maxCandidates)
		}
	}
	switch {
	case in.candidates.count > 0:
		return nil
	case malformed != nil:
		return malformed
	case present:
		return refuse(SignatureMalformed, "no well-formed signature")
	}
	return refuse(SignatureMissing, "no %s", s.lineNames())
}

func (s *Scheme) readHeaderLine(in *Inspection, line int, r *Request, keep func(int, string)) error {
	l := &s.lines[line]
	if !l.numbered {
		return s.readHeader(in, line, r, l.source.Name, keep)
	}
	for _, name := range l.names(r) {
		if err := s.readHeader(in, line, r, name, keep); err != nil {
			return err
		}
		if in.seen > maxCandidates {
			return nil // refused by the caller
		}
	}
	return nil
}

func (s *Scheme) readHeader(in *Inspection, line int, r *Request, name string, keep func(int, string)) error {
	switch values := r.Header[name]; len(values) {
	case 0:
	case 1:
		keep(line, s.readValue(in, line, values[0]))
	default:
		// Proxies and apps disagree on which of two headers counts.
		return refuse(SignatureMalformed, "header %s was sent %d times", name, len(values))
	}
	return nil
}

// readValue takes the candidates out of one header or field and says what is
// wrong with it, if no candidate came of it.
func (s *Scheme) readValue(in *Inspection, line int, value string) (problem string) {
	if value == "" {
		return "is empty"
	}
	f := s.lines[line].format
	before := in.candidates.count
	problem = "is not of the configured format"
	if len(f.separators) < 2 {
		problem = s.readGroup(in, line, value)
	} else {
		for group := range strings.SplitSeq(value, f.separators[0]) {
			if group = strings.TrimSpace(group); group == "" {
				continue
			}
			if p := s.readGroup(in, line, group); p != "" {
				problem = p
			}
			if in.seen > maxCandidates {
				break
			}
		}
	}
	if in.candidates.count > before {
		return ""
	}
	return problem
}

// readGroup reads the items that share one timestamp: a whole header, unless
// its format has groups. Nothing of a malformed group is kept.
func (s *Scheme) readGroup(in *Inspection, line int, text string) (problem string) {
	l := &s.lines[line]
	f := l.format
	if len(f.separators) == 0 {
		var found item
		if !f.patterns[0].match(&found, text) {
			in.seen++
			return "is not of the configured format"
		}
		return s.keepGroup(in, line, &found, found.signature)
	}
	// Signatures may stand before the timestamp that goes with them, so they
	// are kept until the whole group is read.
	var group, found item
	var room [4]string // on the stack: most headers hold one or two
	macs := room[:0]
	separator := f.separators[len(f.separators)-1]
	for index, more := 0, true; more; index++ {
		var part string
		part, text, more = strings.Cut(text, separator)
		if !f.matchItem(&found, strings.TrimSpace(part), index) {
			continue
		}
		if !group.add(&found) {
			// Where the last t= wins, a replayer adds a fresh one; where the
			// first does, in front. So neither does.
			in.seen++
			return "has a part twice that may be there once"
		}
		if found.signature == "" {
			continue
		}
		if len(macs) == maxCandidates {
			in.seen = maxCandidates + 1
			return "has too many signatures"
		}
		macs = append(macs, found.signature)
	}
	return s.keepGroup(in, line, &group, macs...)
}

// keepGroup adds the well-formed signatures of a group to the candidates.
func (s *Scheme) keepGroup(in *Inspection, line int, group *item, macs ...string) (problem string) {
	l := &s.lines[line]
	// A group without a signature counts as one, so that no header can hold
	// an endless row of them.
	in.seen += max(len(macs), 1)
	switch {
	case in.seen > maxCandidates:
		return "has too many signatures"
	case len(macs) == 0:
		return "has no signature"
	case l.format.has(varTimestamp) && group.timestamp == "":
		return "has no timestamp"
	case l.format.has(varID) && group.id == "":
		return "has no ID"
	case l.format.has(varNonce) && group.nonce == "":
		return "has no nonce"
	}
	if l.jwt {
		return s.keepTokens(in, line, macs)
	}
	before := in.candidates.count
	for _, mac := range macs {
		in.keep(l, line, mac)
	}
	if in.candidates.count == before {
		return "has no signature of the right length and encoding"
	}
	parts := in.groups.push()
	parts.Timestamp, parts.ID, parts.Nonce = group.timestamp, group.id, group.nonce
	return ""
}

// keepTokens is keepGroup for tokens: each is a group, as it has claims and
// bytes under its signature of its own.
func (s *Scheme) keepTokens(in *Inspection, line int, tokens []string) (problem string) {
	l := &s.lines[line]
	before := in.candidates.count
	for _, token := range tokens {
		p, mac, wrong := l.readToken(token)
		if wrong == "" && !in.keep(l, line, mac) {
			wrong = "holds a token without a signature of the right length and encoding"
		}
		if wrong != "" {
			problem = wrong
			continue
		}
		*in.groups.push() = p
	}
	if in.candidates.count > before {
		return ""
	}
	return problem
}

// keep adds a signature to the candidates, if it is well-formed.
func (in *Inspection) keep(l *signatureLine, line int, text string) bool {
	c := in.candidates.push()
	c.line, c.group = line, in.groups.count
	var ok bool
	if size := algorithms[l.algorithm].size; size > 0 {
		ok = l.encoding.decodeMAC(&c.mac, text, size)
	} else {
		_, ok = l.encoding.decode(text)
		c.text = text
	}
	if !ok {
		in.candidates.pop()
	}
	return ok
}

// lineNames are the places where a signature was looked for.
func (s *Scheme) lineNames() string {
	var names []string
	for i := range s.lines {
		names = append(names, s.lines[i].String())
	}
	return strings.Join(names, " or ")
}
