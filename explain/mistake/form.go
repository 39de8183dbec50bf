package mistake

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// rewriting is another way to write a form, or a query, of the same fields.
type rewriting struct {
	text, code, words string
}

// keptByEncoder are the characters that form encoders leave as they are, besides letters,
// digits and those that all of them keep.
var keptByEncoder = []struct{ words, kept, space string }{
	{"as Go and Python write it", "-_.~", "+"},
	{"as PHP and Ruby write it", "-_.", "+"},
	{"as browsers and Java write it", "-_.*", "+"},
	{"as encodeURIComponent writes it", "-_.~!*'()", "%20"},
	{"as RFC 3986 says", "-_.~", "%20"},
}

// rewritten lists other ways to write a form of the same fields: its escapes, then its
// order, then both.
func rewritten(text string) []rewriting {
	var list []rewriting
	add := func(other, code, words string) {
		if other != text && !slices.ContainsFunc(list, func(r rewriting) bool { return r.text == other }) {
			list = append(list, rewriting{other, code, words})
		}
	}
	escapes := func(text, code, words string) {
		add(strings.ReplaceAll(text, "+", "%20"), code, words+"%20 for a space")
		add(strings.ReplaceAll(text, "%20", "+"), code, words+"+ for a space")
		add(escapesIn(text, strings.ToLower), code, words+"escapes in lower case")
		add(escapesIn(text, strings.ToUpper), code, words+"escapes in upper case")
		for _, e := range keptByEncoder {
			if other, ok := reencoded(text, e.kept, e.space); ok {
				add(other, code, words+"escapes "+e.words)
				add(escapesIn(other, strings.ToLower), code, words+"escapes "+e.words+", in lower case")
			}
		}
	}
	escapes(text, "escapes", "")
	pairs := strings.Split(text, "&")
	ordered := slices.Sorted(slices.Values(pairs))
	add(strings.Join(ordered, "&"), "order", "its fields sorted")
	escapes(strings.Join(ordered, "&"), "order", "its fields sorted, and ")
	for _, order := range orders(pairs) {
		add(strings.Join(order, "&"), "order", "its fields in another order")
	}
	add(strings.Trim(text, "&"), "order", "no & at its ends")
	return list
}

// escapesIn changes the case of every escape in a text.
func escapesIn(text string, change func(string) string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "%")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n := min(2, len(rest))
		b.WriteString("%" + change(rest[:n]))
		text = rest[n:]
	}
}

// reencoded writes every name and value of a form anew.
func reencoded(text, kept, space string) (string, bool) {
	var pairs []string
	for pair := range strings.SplitSeq(text, "&") {
		name, value, equals := strings.Cut(pair, "=")
		plainName, err := url.QueryUnescape(name)
		if err != nil {
			return "", false
		}
		plainValue, err := url.QueryUnescape(value)
		if err != nil {
			return "", false
		}
		pair = escaped(plainName, kept, space)
		if equals {
			pair += "=" + escaped(plainValue, kept, space)
		}
		pairs = append(pairs, pair)
	}
	return strings.Join(pairs, "&"), true
}

func escaped(text, kept, space string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(text) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		switch {
		case letter || c >= '0' && c <= '9' || strings.IndexByte(kept, c) >= 0:
			b.WriteByte(c)
		case c == ' ':
			b.WriteString(space)
		default:
			b.WriteString(string([]byte{'%', hex[c>>4], hex[c&15]}))
		}
	}
	return b.String()
}

// maxOrdered bounds how many fields are put in every order.
const maxOrdered = 4

// orders lists every other order of a few fields.
func orders(pairs []string) [][]string {
	if len(pairs) < 2 || len(pairs) > maxOrdered {
		return nil
	}
	if len(pairs) == 2 {
		return [][]string{{pairs[1], pairs[0]}}
	}
	var list [][]string
	for i := range pairs {
		rest := slices.Concat(pairs[:i], pairs[i+1:])
		for _, order := range append([][]string{rest}, orders(rest)...) {
			list = append(list, append([]string{pairs[i]}, order...))
		}
	}
	return list
}

// isForm reports whether a body is a form, by its type or else by its text.
func isForm(r signature.Request) bool {
	for _, value := range r.Header["Content-Type"] {
		if strings.HasPrefix(strings.ToLower(value), "application/x-www-form-urlencoded") {
			return true
		}
	}
	return bytes.HasPrefix(r.Body, []byte("payload="))
}

// maxForm bounds the forms that are written anew.
const maxForm = 1 << 20

// formBodies adds other bodies of a request whose body is a form, or was one.
func (b *bodies) formBodies(r signature.Request) {
	if len(r.Body) > maxForm {
		return
	}
	if trimmed := strings.TrimSpace(string(r.Body)); strings.HasPrefix(trimmed, "{") {
		b.add([]byte("payload="+url.QueryEscape(trimmed)), "body_form", "The signature is of a form with this JSON in its field payload.",
			"Capture the form as it is sent, or have the sender send JSON: set the webhook's content type to application/json there.")
		return
	}
	if !isForm(r) {
		return
	}
	for pair := range strings.SplitSeq(string(r.Body), "&") {
		name, value, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(value)
		if err == nil && strings.HasPrefix(strings.TrimSpace(plain), "{") {
			b.add([]byte(plain), "body_form", "The signature is of the JSON in the form's field "+plainField(name)+", and not of the form.",
				"Have the sender send JSON: set the webhook's content type to application/json there.")
		}
	}
	for _, other := range rewritten(string(r.Body)) {
		b.add([]byte(other.text), "body_form_"+other.code, "The form was parsed and written anew. When it was signed, it had "+other.words+".", keepRaw)
	}
}

// plainField is a field's name that can be printed.
func plainField(name string) string {
	if name == "" || !plainName(name) {
		return "…"
	}
	return name
}
