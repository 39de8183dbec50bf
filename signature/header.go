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
	mac    [maxMAC]byte
	header int // of Scheme.headers: which algorithm and encoding
	group  int // of Inspection.groups: which timestamp goes with it
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

// readHeaders collects the candidates of all signature headers. Malformed
// ones are passed over as long as there is a well-formed one.
func (s *Scheme) readHeaders(in *Inspection, r *Request) error {
	var malformed *Error
	present := false
	for i := range s.headers {
		h := &s.headers[i]
		// On the stack: a request without numbered headers allocates nothing.
		var names [maxCandidates + 1]string
		for _, name := range h.names(r, names[:0]) {
			values := r.Header[name]
			if len(values) == 0 {
				continue
			}
			present = true
			if len(values) > 1 {
				// Proxies and apps disagree on which of two headers counts.
				return refuse(SignatureMalformed, "header %s was sent %d times", name, len(values))
			}
			if problem := s.readHeader(in, i, values[0]); problem != "" && malformed == nil {
				malformed = refuse(SignatureMalformed, "header %s %s", name, problem)
			}
			if in.seen > maxCandidates {
				return refuse(SignatureMalformed, "more than %d signatures", maxCandidates)
			}
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
	return refuse(SignatureMissing, "no header %s", s.headerNames())
}

// readHeader takes the candidates out of one header and says what is wrong
// with it, if no candidate came of it.
func (s *Scheme) readHeader(in *Inspection, header int, value string) (problem string) {
	if value == "" {
		return "is empty"
	}
	f := s.headers[header].format
	before := in.count
	problem = "is not of the configured format"
	if len(f.separators) < 2 {
		problem = s.readGroup(in, header, value)
	} else {
		for group := range strings.SplitSeq(value, f.separators[0]) {
			if group = strings.TrimSpace(group); group == "" {
				continue
			}
			if p := s.readGroup(in, header, group); p != "" {
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
func (s *Scheme) readGroup(in *Inspection, header int, text string) (problem string) {
	h := &s.headers[header]
	f := h.format
	if len(f.separators) == 0 {
		found, ok := f.patterns[0].match(text)
		if !ok {
			in.seen++
			return "is not of the configured format"
		}
		return s.keepGroup(in, header, found.parts, found.signature)
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
	return s.keepGroup(in, header, parts, macs[:count]...)
}

// keepGroup adds the well-formed signatures of a group to the candidates.
func (s *Scheme) keepGroup(in *Inspection, header int, parts Parts, macs ...string) (problem string) {
	h := &s.headers[header]
	// A group without a signature counts as one, so that no header can hold
	// an endless row of them.
	in.seen += max(len(macs), 1)
	switch {
	case in.seen > maxCandidates:
		return "has too many signatures"
	case len(macs) == 0:
		return "has no signature"
	case h.format.has(varTimestamp) && parts.Timestamp == "":
		return "has no timestamp"
	case h.format.has(varID) && parts.ID == "":
		return "has no ID"
	case h.format.has(varNonce) && parts.Nonce == "":
		return "has no nonce"
	}
	before := in.count
	for _, mac := range macs {
		c := &in.candidates[in.count]
		if h.encoding.decodeMAC(&c.mac, mac, algorithms[h.algorithm].size) {
			c.header, c.group = header, in.groupCount
			in.count++
		}
	}
	if in.count == before {
		return "has no signature of the right length and encoding"
	}
	in.groups[in.groupCount] = parts
	in.groupCount++
	return ""
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
func (h *signatureHeader) names(r *Request, names []string) []string {
	if !h.numbered {
		if _, ok := r.Header[h.name]; ok {
			return append(names, h.name)
		}
		return names
	}
	for name := range r.Header {
		number, ok := strings.CutPrefix(name, h.name)
		// One more than can be tried is enough to refuse them all.
		if ok && allDigits(number) && len(names) <= maxCandidates {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
