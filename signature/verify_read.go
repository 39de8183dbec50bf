package signature

import "strings"

// maxSignatures bounds the text of the signatures in one place, 16 of the longest keys.
// Servers take headers of a megabyte. A token has a bound of its own.
const (
	maxSignatures = 64 << 10
	tooLong       = "is longer than 64 KiB"
)

// reader takes the signatures out of one request and adds the well-formed ones
// to an inspection. Malformed ones are passed over as long as there is a
// well-formed one. The inspection is not a field: the compiler would then
// allocate it on the heap, together with the error that is returned.
type reader struct {
	r *Request
	// line is the one that is being read, l what it says.
	line int
	l    *signatureLine
	// present means that some place holds something. malformed is the first fault.
	present   bool
	malformed *Error
}

// readSignatures reads all signature lines that are in the body, or all that
// are not.
func readSignatures(in *Inspection, lines []signatureLine, r *Request, inBody bool) error {
	rd := reader{r: r}
	for i := range lines {
		rd.line, rd.l = i, &lines[i]
		if rd.l.source.inBody() != inBody {
			continue
		}
		if err := rd.readLine(in); err != nil {
			return err
		}
		if in.seen > maxCandidates {
			return refuse(SignatureMalformed, "more than %d signatures", maxCandidates)
		}
	}
	switch {
	case in.candidates.count > 0:
		return nil
	case rd.malformed != nil:
		return rd.malformed
	case rd.present:
		return refuse(SignatureMalformed, "no well-formed signature")
	}
	return refuse(SignatureMissing, "no %s", lineNames(lines))
}

// lineNames are the places where a signature was looked for.
func lineNames(lines []signatureLine) string {
	var names []string
	for i := range lines {
		names = append(names, lines[i].String())
	}
	return strings.Join(names, " or ")
}

func (rd *reader) readLine(in *Inspection) error {
	l := rd.l
	if !l.applies(rd.r) {
		if rd.malformed == nil && l.read(rd.r).Found {
			rd.malformed = refuse(SignatureMalformed, "%s is there, and of no kind that the signature lines describe", l)
		}
		return nil
	}
	switch {
	case !l.isHeader():
		v := l.read(rd.r)
		switch {
		case v.Repeated || v.Bad:
			return refuse(SignatureMalformed, "%s was sent more than once or cannot be read", l)
		case v.Found:
			rd.readValue(in, v.Text)
		}
		return nil
	case !l.numbered:
		return rd.readHeader(in, l.source.Name)
	}
	for _, name := range l.names(rd.r) {
		if err := rd.readHeader(in, name); err != nil {
			return err
		}
		if in.seen > maxCandidates {
			return nil // refused by the caller
		}
	}
	return nil
}

func (rd *reader) readHeader(in *Inspection, name string) error {
	switch values := rd.r.Header[name]; {
	case len(values) == 0:
	case len(values) == 1:
		rd.readValue(in, values[0])
	case rd.l.format.isList():
		// A list may be in several headers (RFC 9110 section 5.3): Mollie signs with both
		// secrets while one is replaced.
		rd.readValue(in, strings.Join(values, ", "))
	default:
		// Proxies and apps disagree on which of two headers counts.
		return refuse(SignatureMalformed, "header %s was sent %d times", name, len(values))
	}
	return nil
}

// readValue takes the candidates out of one header or field.
func (rd *reader) readValue(in *Inspection, value string) {
	rd.present = true
	problem := tooLong
	if len(value) <= maxSignatures || rd.l.jwt {
		problem = rd.readGroups(in, value)
	}
	if problem != "" && rd.malformed == nil {
		rd.malformed = refuse(SignatureMalformed, "%s %s", rd.l, problem)
	}
}

// readGroups returns what is wrong with a value that has no well-formed signature.
func (rd *reader) readGroups(in *Inspection, value string) (problem string) {
	if value == "" {
		return "is empty"
	}
	separators := rd.l.format.separators
	value = rd.l.format.rejoin(value)
	if len(separators) < 2 {
		return rd.readGroup(in, value)
	}
	before := in.candidates.count
	problem = "is not of the configured format"
	for group := range strings.SplitSeq(value, separators[0]) {
		if group = strings.TrimSpace(group); group == "" {
			continue
		}
		if p := rd.readGroup(in, group); p != "" {
			problem = p
		}
		if in.seen > maxCandidates {
			break
		}
	}
	if in.candidates.count > before {
		return ""
	}
	return problem
}

// readGroup reads the items that share one timestamp: a whole header, unless
// its format has groups. Nothing of a malformed group is kept.
func (rd *reader) readGroup(in *Inspection, text string) (problem string) {
	f := rd.l.format
	if len(f.separators) == 0 {
		var found item
		if !f.patterns[0].match(&found, text) {
			in.seen++
			return "is not of the configured format"
		}
		return rd.keepGroup(in, &found, found.signature)
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
		if !f.matchItem(&found, f.trim(part), index) {
			continue
		}
		if !group.add(&found) {
			// If the last t= counted, an attacker would append a fresh one; if
			// the first did, prepend it. So neither is accepted.
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
	return rd.keepGroup(in, &group, macs...)
}

// keepGroup adds the well-formed signatures of a group to the candidates.
func (rd *reader) keepGroup(in *Inspection, group *item, macs ...string) (problem string) {
	l := rd.l
	// A group without a signature counts as one, so that their number is
	// bounded too.
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
	if isToken(l) {
		return rd.keepTokens(in, macs)
	}
	keyID := ""
	if l.keyID != (Source{}) {
		var problem string
		if keyID, problem = readKeyName(l.keyID, rd.r); problem != "" {
			return problem
		}
	}
	before := in.candidates.count
	for _, mac := range macs {
		rd.keep(in, mac)
	}
	if in.candidates.count == before {
		return "has no signature of the right length and encoding"
	}
	parts := in.groups.push()
	parts.Timestamp, parts.ID, parts.Nonce, parts.keyID = group.timestamp, group.id, group.nonce, keyID
	return ""
}

// keepTokens is keepGroup for tokens: each is a group, as it has claims and
// bytes under its signature of its own.
func (rd *reader) keepTokens(in *Inspection, tokens []string) (problem string) {
	before := in.candidates.count
	for _, token := range tokens {
		p, mac, wrong := readSigned(rd.l, rd.r, token)
		if wrong == "" && !rd.keep(in, mac) {
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
func (rd *reader) keep(in *Inspection, text string) bool {
	l := rd.l
	c := in.candidates.push()
	c.line, c.group = rd.line, in.groups.count
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
