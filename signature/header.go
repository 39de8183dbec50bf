package signature

import (
	"slices"
	"strings"
)

// maxCandidates bounds the signatures of one request: each can cost an HMAC
// over the body per secret, and rotations show two or three at a time.
const maxCandidates = 16

// candidate is one well-formed MAC of a request.
type candidate struct {
	mac   [maxMAC]byte
	text  string // instead of mac, for signatures of any length
	line  int    // of Scheme.lines: which algorithm and encoding
	group int    // of Inspection.groups: which timestamp goes with it
}

// Inspection is what the headers of one request said. It refers to the
// request's strings and holds no secret.
type Inspection struct {
	candidates [maxCandidates]candidate
	count      int
	seen       int // signatures in all, malformed ones too
	groups     [maxCandidates]Parts
	groupCount int
}

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
	case in.count > 0:
		return nil
	case malformed != nil:
		return malformed
	case present:
		return refuse(SignatureMalformed, "no well-formed signature")
	}
	return refuse(SignatureMissing, "no %s", s.lineNames())
}

func (s *Scheme) readHeaderLine(in *Inspection, line int, r *Request, keep func(int, string)) error {
	// On the stack: a request without numbered headers allocates nothing.
	var names [maxCandidates + 1]string
	for _, name := range s.lines[line].names(r, names[:0]) {
		values := r.Header[name]
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 {
			// Proxies and apps disagree on which of two headers counts.
			return refuse(SignatureMalformed, "header %s was sent %d times", name, len(values))
		}
		keep(line, s.readValue(in, line, values[0]))
		if in.seen > maxCandidates {
			return nil // refused by the caller
		}
	}
	return nil
}

// read is the value at a place that is not a header.
func (l *signatureLine) read(r *Request) Value {
	if l.source == (Source{Kind: SourceBody}) {
		return Value{Text: string(r.Body), Found: len(r.Body) > 0}
	}
	v := l.source.read(r, "")
	if l.source.Kind == SourceBody && v.Found && !uniqueJSON(string(r.Body), l.source.Name) {
		v.Repeated = true
	}
	return v
}

// readValue takes the candidates out of one header or field and says what is
// wrong with it, if no candidate came of it.
func (s *Scheme) readValue(in *Inspection, line int, value string) (problem string) {
	if value == "" {
		return "is empty"
	}
	f := s.lines[line].format
	before := in.count
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
	if in.count > before {
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
		found, ok := f.patterns[0].match(text)
		if !ok {
			in.seen++
			return "is not of the configured format"
		}
		return s.keepGroup(in, line, found.parts, found.signature)
	}
	// Signatures may stand before the timestamp that goes with them, so they
	// are kept until the whole group is read.
	var parts Parts
	var macs [maxCandidates]string
	count := 0
	index := 0
	for part := range strings.SplitSeq(text, f.separators[len(f.separators)-1]) {
		found, ok := f.matchItem(strings.TrimSpace(part), index)
		index++
		if !ok {
			continue
		}
		if !parts.add(found.parts) {
			// Where the last t= wins, a replayer adds a fresh one; where the
			// first does, in front. So neither does.
			in.seen++
			return "has a part twice that may be there once"
		}
		if found.signature == "" {
			continue
		}
		if count == maxCandidates {
			in.seen = maxCandidates + 1
			return "has too many signatures"
		}
		macs[count] = found.signature
		count++
	}
	return s.keepGroup(in, line, parts, macs[:count]...)
}

// keepGroup adds the well-formed signatures of a group to the candidates.
func (s *Scheme) keepGroup(in *Inspection, line int, parts Parts, macs ...string) (problem string) {
	l := &s.lines[line]
	// A group without a signature counts as one, so that no header can hold
	// an endless row of them.
	in.seen += max(len(macs), 1)
	switch {
	case in.seen > maxCandidates:
		return "has too many signatures"
	case len(macs) == 0:
		return "has no signature"
	case l.format.has(varTimestamp) && parts.Timestamp == "":
		return "has no timestamp"
	case l.format.has(varID) && parts.ID == "":
		return "has no ID"
	case l.format.has(varNonce) && parts.Nonce == "":
		return "has no nonce"
	}
	before := in.count
	if l.jwt {
		return s.keepTokens(in, line, macs)
	}
	for _, mac := range macs {
		if in.keep(l, mac) {
			in.candidates[in.count-1].line = line
		}
	}
	if in.count == before {
		return "has no signature of the right length and encoding"
	}
	in.groups[in.groupCount] = parts
	in.groupCount++
	return ""
}

// keepTokens is keepGroup for tokens: each is a group, as it has claims and
// bytes under its signature of its own.
func (s *Scheme) keepTokens(in *Inspection, line int, tokens []string) (problem string) {
	l := &s.lines[line]
	before := in.count
	for _, token := range tokens {
		p, mac, wrong := l.readToken(token)
		if wrong == "" && !in.keep(l, mac) {
			wrong = "holds a token without a signature of the right length and encoding"
		}
		if wrong != "" {
			problem = wrong
			continue
		}
		in.candidates[in.count-1].line = line
		in.groups[in.groupCount] = p
		in.groupCount++
	}
	if in.count > before {
		return ""
	}
	return problem
}

// keep adds a signature to the candidates, if it is well-formed.
func (in *Inspection) keep(l *signatureLine, text string) bool {
	c := &in.candidates[in.count]
	if size := algorithms[l.algorithm].size; size > 0 {
		if !l.encoding.decodeMAC(&c.mac, text, size) {
			return false
		}
	} else {
		if _, ok := l.encoding.decode(text); !ok {
			return false
		}
		c.text = text
	}
	c.group = in.groupCount
	in.count++
	return true
}

// matchItem finds the pattern of the item at one place. Text decides before
// place does. The last positional {signature} also takes what comes after it.
func (f *format) matchItem(text string, index int) (item, bool) {
	for _, p := range f.patterns {
		if p.positional {
			continue
		}
		if found, ok := p.match(text); ok {
			return found, true
		}
	}
	if index >= len(f.patterns) {
		index = len(f.patterns) - 1
		if f.patterns[index].count(varSignature) == 0 {
			return item{}, false
		}
	}
	if p := f.patterns[index]; p.positional {
		return p.match(text)
	}
	return item{}, false
}

// add takes over the parts of one item. It is false where one is there already.
func (p *Parts) add(more Parts) bool {
	for _, field := range []struct {
		to   *string
		from string
	}{{&p.Timestamp, more.Timestamp}, {&p.ID, more.ID}, {&p.Nonce, more.Nonce}} {
		if field.from == "" {
			continue
		}
		if *field.to != "" {
			return false
		}
		*field.to = field.from
	}
	return true
}

// names are the headers that a line reads in one request: one, or those with
// a number in place of the star (DocuSign X-DocuSign-Signature-1 and on).
func (l *signatureLine) names(r *Request, names []string) []string {
	if !l.numbered {
		if _, ok := r.Header[l.source.Name]; ok {
			return append(names, l.source.Name)
		}
		return names
	}
	for name := range r.Header {
		number, ok := strings.CutPrefix(name, l.source.Name)
		// One more than can be tried is enough to refuse them all.
		if ok && allDigits(number) && len(names) <= maxCandidates {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
