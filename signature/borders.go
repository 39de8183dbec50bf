package signature

import (
	"fmt"
	"slices"
	"strings"
)

// A MAC is over one text. Where nothing in that text says where one value ends and the next
// begins, a character can be moved over that border under the same MAC: {path}{id} is the
// same text for the path /in with the ID 12 and for the path /in1 with the ID 2. So the
// values beside such a border are not trusted. This file finds the borders of a template.
//
// A border is fixed where the text around it can be read in one way only: from the left or
// from the right, value by value. A value of one length (a digest, a constant) and a stamp
// say themselves where they end. Any other value ends where a mark follows that it does not
// hold: a fixed text, the :// of a URL, the date of an ISO stamp, or the brace that begins a
// JSON body. What a value must not hold for that is checked in each request.

// border is a place between two values whose position nothing fixes.
type border struct{ left, right *placeholder }

func (b border) String() string {
	if b.left == b.right {
		return "the names and values of " + b.left.String()
	}
	return b.left.String() + " and " + b.right.String()
}

// bounds are the borders of a template.
type bounds struct {
	values []boundValue
	// texts are the fixed texts before each value, and after the last one.
	texts  []string
	fixed  []bool // the border before each value, and after the last one
	checks []boundCheck
}

// boundValue is a value of a template, and what is known of its extent.
type boundValue struct {
	*placeholder
	extent extent
	stamp  *StampSpec // of a stamp
	marked bool       // it may be refused for holding a mark
	own    bool       // and a fixed text too, which the sender keeps out of its IDs and nonces
}

// extent is how a value says where it ends.
type extent int

const (
	anyText  extent = iota
	oneSize         // by its length, or as it is one of a few words
	aStamp          // by its shape
	aJSON           // it begins and ends with a brace or bracket
	pairText        // not even its own parts are told apart
)

// findBounds finds the borders of a template.
func findBounds(t *Template, spec *Spec) *bounds {
	b := &bounds{texts: []string{""}}
	for i := range t.pieces {
		p := &t.pieces[i]
		last := len(b.texts) - 1
		switch {
		case p.placeholder == nil:
			b.texts[last] += string(p.text)
		case p.placeholder.variable == varParam && len(p.placeholder.funcs) == 0:
			b.texts[last] += spec.Params[p.placeholder.name]
		default:
			b.values = append(b.values, newBoundValue(p.placeholder, spec))
			b.texts = append(b.texts, "")
		}
	}
	n := len(b.values)
	b.fixed = make([]bool, n+1)
	b.fixed[0], b.fixed[n] = true, true
	for i, v := range b.values {
		if v.extent == aJSON {
			b.checks = append(b.checks, boundCheck{checkJSON, i, ""})
		}
	}
	for b.fix() {
	}
	return b
}

// fix fixes one more border, and reports whether there was one.
func (b *bounds) fix() bool {
	for i := range b.values {
		if b.fixed[i] && !b.fixed[i+1] && b.endsItself(i) || b.fixed[i+1] && !b.fixed[i] && b.beginsItself(i) {
			b.fixed[i], b.fixed[i+1] = true, true
			return true
		}
	}
	return false
}

func newBoundValue(ph *placeholder, spec *Spec) boundValue {
	v := boundValue{placeholder: ph, stamp: stampOf(ph, spec)}
	source, field := sourceOf(ph)
	isID := field && slices.ContainsFunc(spec.ID, func(id Source) bool { return sameSource(id, source) })
	v.marked = !field || !source.inBody() || isID
	v.own = isID || ph.variable == varID || ph.variable == varNonce
	switch {
	case ph.variable == varMethod, ph.variable == varScheme, ph.variable == varSecret, ph.variable == varParam, slices.Contains(ph.funcs, "sha256"), slices.Contains(ph.funcs, functionCRC32):
		v.extent = oneSize
	case v.stamp != nil:
		v.extent = aStamp
	case ph.isJSON():
		v.extent, v.marked = aJSON, false
	case ph.variable == varFormSorted:
		v.extent, v.marked = pairText, false
	case ph.variable == varBody:
		v.marked = false
	}
	return v
}

// stampOf is the stamp that a placeholder writes as it was sent; nil where it writes none.
func stampOf(ph *placeholder, spec *Spec) *StampSpec {
	if len(ph.funcs) > 0 {
		return nil
	}
	if ph.variable == varTimestamp {
		return spec.Timestamp
	}
	source, ok := sourceOf(ph)
	for _, stamp := range []*StampSpec{spec.Timestamp, spec.EventTime} {
		if ok && stamp != nil && sameSource(stamp.Source, source) {
			return stamp
		}
	}
	return nil
}

// endsItself reports whether the end of a value is known once its beginning is.
func (b *bounds) endsItself(i int) bool {
	v, text := &b.values[i], b.texts[i+1]
	next := boundValue{placeholder: &placeholder{variable: varSignature}, extent: anyText}
	if i+1 < len(b.values) {
		next = b.values[i+1]
	}
	switch {
	case v.extent == oneSize:
		return true
	case v.extent == aStamp:
		return b.check(checkStampEnd, i, "")
	case v.extent != anyText:
		return false
	case text != "" && v.marked && !v.cannotHold(text) && next.extent == aStamp && i+2 < len(b.texts) && b.texts[i+2] != "":
		return b.check(checkNoStamp, i, text)
	case text != "" && next.extent == aJSON && !v.cannotHold(text):
		return v.marked && b.check(checkNoBrace, i, "{["+byteOrderMark)
	case text != "":
		return b.markedBy(i, text)
	case next.variable == varURL:
		return v.marked && b.check(checkNoText, i, "://")
	case next.variable == varPath || next.variable == varURI:
		return v.variable == varHost
	case next.extent == aStamp && next.stamp.Format == formatRFC3339:
		return v.marked && b.check(checkNoDate, i, "")
	case next.extent == aJSON:
		return v.marked && b.check(checkNoBrace, i, "{["+byteOrderMark)
	}
	return false
}

// beginsItself reports whether the beginning of a value is known once its end is.
func (b *bounds) beginsItself(i int) bool {
	v, text := &b.values[i], b.texts[i]
	switch {
	case v.extent == oneSize:
		return true
	case v.extent == aStamp:
		return b.check(checkStampStart, i, "")
	case v.extent != anyText || i == 0:
		return false
	case b.values[i-1].extent == aJSON && (text == "" || !v.cannotHold(text)):
		return v.marked && b.check(checkNoBrace, i, "}]")
	case text != "":
		return b.markedBy(i, text)
	}
	return false
}

// markedBy reports whether the fixed text beside a value marks its end, or its beginning. A
// header, a key of the query and the URL may hold any text, such as the dots in the name of
// an event or of a host: the border stays open, since a request that holds the text is as
// genuine as another.
func (b *bounds) markedBy(i int, text string) bool {
	v := &b.values[i]
	return v.cannotHold(text) || v.own && b.check(checkNoText, i, text)
}

// check adds what a request has to be for a border to be fixed.
func (b *bounds) check(kind checkKind, i int, text string) bool {
	b.checks = append(b.checks, boundCheck{kind, i, text})
	return true
}

// cannotHold reports whether no request can have the text in this value: headers and URLs
// hold no line breaks, URLs no spaces, and hex is digits and letters.
func (v *boundValue) cannotHold(text string) bool {
	if n := len(v.funcs); n > 0 && v.funcs[n-1] == "hex" {
		return strings.Trim(text, lowerHex) != ""
	}
	switch {
	case slices.Contains(v.funcs, functionLine):
		return strings.ContainsAny(text, "\r\n")
	case v.ofURL():
		return strings.ContainsAny(text, "\r\n\x00 ")
	case v.variable == varHeader, v.variable == varNonce:
		return strings.ContainsAny(text, "\r\n\x00")
	}
	return false
}

// ofURL reports whether a value is the request's URL or a part of it.
func (v *boundValue) ofURL() bool {
	switch v.variable {
	case varURL, varURI, varPath, varQuery, varHost:
		return true
	}
	return false
}

// trusts reports whether both ends of a value are fixed.
func (b *bounds) trusts(i int) bool {
	return b.fixed[i] && b.fixed[i+1] && b.values[i].extent != pairText
}

func (b *bounds) trustsAny(match func(*placeholder) bool) bool {
	for i, v := range b.values {
		if b.trusts(i) && match(v.placeholder) {
			return true
		}
	}
	return false
}

// open are the borders that are not fixed.
func (b *bounds) open() []border {
	var open []border
	for i, v := range b.values {
		if i > 0 && !b.fixed[i] {
			open = append(open, border{b.values[i-1].placeholder, v.placeholder})
		}
		if v.extent == pairText {
			open = append(open, border{v.placeholder, v.placeholder})
		}
	}
	return open
}

// OpenBorders names the places in what is signed that nothing fixes, so that a character can
// be moved over them under the same signature: each as "{path} and {id}". [Scheme.Covers] is
// false for the values beside them.
func OpenBorders(s *Scheme) []string {
	var open []string
	for _, c := range s.signed {
		switch c := c.(type) {
		case *templateContent:
			for _, border := range c.bounds.open() {
				open = addNew(open, border.String())
			}
		case twilioContent:
			open = addNew(open, "{url} and the form", "the names and values of the form")
		}
	}
	for _, c := range s.claims {
		for _, border := range c.bounds.open() {
			open = addNew(open, fmt.Sprintf("%s in claim %s", border, c.spec.Name))
		}
	}
	return open
}
