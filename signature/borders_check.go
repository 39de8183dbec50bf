package signature

import (
	"bytes"
	"regexp"
	"strings"
)

// checkKind is what a request has to be for a border to be fixed.
type checkKind int

const (
	checkJSON       checkKind = iota // the value is a JSON object or list, or nothing
	checkNoText                      // the value does not hold a text
	checkNoBrace                     // the value holds none of some characters, past a host
	checkNoDate                      // the value does not hold a date and time
	checkNoStamp                     // the value does not hold a text and a stamp after it
	checkStampEnd                    // the stamp cannot go on in what follows
	checkStampStart                  // the stamp cannot begin before
)

// boundCheck is a check of the i-th value.
type boundCheck struct {
	kind checkKind
	i    int
	text string
}

// nearby is how much of its neighbours a stamp is compared with: more than a stamp is long.
const nearby = 48

// checkBounds refuses a request in which the ends of a signed value are in doubt: the text
// under its MAC could be read in another way, or was already.
func (c *templateContent) checkBounds(r *Request, p *Parts) error {
	if len(c.bounds.checks) == 0 {
		return nil
	}
	reading := boundReading{c.bounds, &env{r: r, parts: p, params: c.params}}
	for _, check := range c.bounds.checks {
		if !reading.holds(check) {
			return refuse(SignatureMalformed, "where %s ends or begins is not clear from what is signed", c.bounds.values[check.i].placeholder)
		}
	}
	return nil
}

// boundReading is one request's values.
type boundReading struct {
	*bounds
	env *env
}

// value is the text of a value; of a body that is large it is only an end.
func (b boundReading) value(i int) string {
	v := &b.values[i]
	if len(v.funcs) == 0 { // the usual ones, without a copy
		switch v.variable {
		case varTimestamp:
			return b.env.parts.Timestamp
		case varID:
			return b.env.parts.ID
		case varNonce:
			return b.env.parts.Nonce
		}
	}
	if v.isRaw() {
		return "" // see head and tail
	}
	text, err := v.append(nil, b.env)
	if err != nil {
		return ""
	}
	return string(text)
}

// head and tail are the first and last bytes of a value.
func (b boundReading) head(i int) string {
	text := b.value(i)
	if body := b.env.r.Body; text == "" && b.values[i].variable == varBody {
		text = string(body[:min(len(body), nearby)])
	}
	return text[:min(len(text), nearby)]
}

func (b boundReading) tail(i int) string {
	text := b.value(i)
	if body := b.env.r.Body; text == "" && b.values[i].variable == varBody {
		text = string(body[max(len(body)-nearby, 0):])
	}
	return text[max(len(text)-nearby, 0):]
}

func (b boundReading) holds(check boundCheck) bool {
	i := check.i
	switch check.kind {
	case checkJSON:
		return looksJSON(b.env.r.Body)
	case checkNoText:
		return !strings.Contains(b.value(i), check.text)
	case checkNoBrace:
		text := b.value(i)
		if _, rest, ok := strings.Cut(text, "://"); ok && b.values[i].variable == varURL {
			_, text, _ = strings.Cut(rest, "/") // the host may be [::1]
		}
		// JSON may have white space around it, so none may stand beside it.
		return !strings.ContainsAny(text, check.text) && strings.Trim(text, " \t\r\n") == text
	case checkNoDate:
		return !isoDate.MatchString(b.value(i))
	case checkNoStamp:
		text := b.value(i)
		return !strings.Contains(text, check.text) || !holdsStamp(text+check.text, check.text, b.values[i+1].stamp.Format)
	case checkStampEnd:
		return b.stampEnds(i)
	}
	return b.stampBegins(i)
}

// looksJSON reports whether a body is nothing, or begins and ends as JSON objects and lists
// do. Whether it is valid is for the app to find.
func looksJSON(body []byte) bool {
	body = bytes.TrimPrefix(body, []byte(byteOrderMark))
	first, last := firstByte(body), lastByte(body)
	return first == 0 || first == '{' && last == '}' || first == '[' && last == ']'
}

// byteOrderMark may be before JSON. Some senders put it there, and URLs hold none.
const byteOrderMark = "\ufeff"

func lastByte(body []byte) byte {
	for i := len(body) - 1; i >= 0; i-- {
		if !strings.ContainsRune(" \t\r\n", rune(body[i])) {
			return body[i]
		}
	}
	return 0
}

var (
	isoDate  = regexp.MustCompile(`\d{4}-\d\d-\d\d[Tt ]\d\d:`)
	unixText = regexp.MustCompile(`^\d{10}(\.\d+)?$`)
	msText   = regexp.MustCompile(`^\d{13}(\.\d+)?$`)
)

// shaped reports whether a text has the shape of a stamp of our time. Without a text between
// a stamp and its neighbour, its shape alone says where it ends.
func shaped(text, format string) bool {
	switch format {
	case formatUnix:
		return unixText.MatchString(text)
	case formatUnixMS:
		return msText.MatchString(text)
	case formatRFC3339:
		_, err := parseRFC3339(text)
		return err == nil
	}
	return shaped(text, formatUnix) || shaped(text, formatUnixMS) || shaped(text, formatRFC3339)
}

// holdsStamp reports whether a text has a stamp between two separators.
func holdsStamp(text, separator, format string) bool {
	_, rest, found := strings.Cut(text, separator)
	for found {
		for end := 0; end < min(len(rest), nearby); {
			next := strings.Index(rest[end:], separator)
			if next < 0 {
				break
			}
			if shaped(rest[:end+next], format) {
				return true
			}
			end += next + len(separator)
		}
		_, rest, found = strings.Cut(rest, separator)
	}
	return false
}

// inStamp reports whether a byte can be inside a stamp.
func inStamp(c byte) bool {
	return c >= '0' && c <= '9' || strings.IndexByte(".:+-TtZz ", c) >= 0
}

// stampEnds reports whether a stamp cannot go on in what follows.
func (b boundReading) stampEnds(i int) bool {
	stamp, separator := b.value(i), b.texts[i+1]
	format := b.values[i].stamp.Format
	if separator == "" && !shaped(stamp, format) {
		return false
	}
	if i+1 == len(b.values) || b.values[i+1].isRaw() && (len(b.env.r.Body) == 0 || !inStamp(b.env.r.Body[0])) {
		return true // the usual body begins with a brace
	}
	after := b.head(i + 1)
	if after == "" || !inStamp(after[0]) {
		return true
	}
	rest := separator + after
	for k := 1; k <= len(rest); k++ {
		if shaped(stamp+rest[:k], format) && strings.HasPrefix(rest[k:], separator) {
			return false
		}
	}
	return true
}

// stampBegins reports whether a stamp cannot begin in what is before it.
func (b boundReading) stampBegins(i int) bool {
	stamp, separator := b.value(i), b.texts[i]
	format := b.values[i].stamp.Format
	before := ""
	if i > 0 {
		before = b.tail(i - 1)
	}
	if separator == "" && !shaped(stamp, format) {
		return false
	}
	if before == "" || !inStamp(before[len(before)-1]) {
		return true
	}
	rest := before + separator
	for k := 1; k <= len(rest); k++ {
		if shaped(rest[len(rest)-k:]+stamp, format) && strings.HasSuffix(rest[:len(rest)-k], separator) {
			return false
		}
	}
	return true
}
