package mistake

import (
	"cmp"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// layout is how a JSON encoder spaces tokens.
type layout struct {
	words        string
	colon, comma string
	indent       string
}

var layouts = []layout{
	{"compact, without spaces", ":", ",", ""},
	{"with a space after each colon and comma", ": ", ", ", ""},
	{"indented by two spaces", ": ", ",", "  "},
	{"indented by four spaces", ": ", ",", "    "},
	{"indented by tabs", ": ", ",", "\t"},
}

// spelling is how an encoder escapes the text in strings.
type spelling struct {
	words    string
	verbatim bool
	ascii    bool   // everything else as \uXXXX
	upper    bool   // hex digits of escapes
	slash    bool   // \/
	html     string // escaped as \uXXXX as well
}

var spellings = []spelling{
	{verbatim: true},
	{words: "with letters outside of ASCII as they are and slashes not escaped"},
	{words: `with letters outside of ASCII as \uXXXX`, ascii: true},
	{words: `with letters outside of ASCII as \uXXXX and slashes as \/`, ascii: true, slash: true},
	{words: `with slashes as \/`, slash: true},
	{words: `with <, > and & as \uXXXX`, html: "<>&\u2028\u2029"},
	{words: `with letters outside of ASCII as \uXXXX in capitals`, ascii: true, upper: true},
	{words: `with letters outside of ASCII, and quotes, <, >, & and +, as \uXXXX in capitals`, ascii: true, upper: true, html: "\"'<>&+`"},
}

// largeBody is the size from which only the most common layouts are tried.
const largeBody = 1 << 20

// reserialized yields a JSON body as other encoders would write it, with how each does
// in words.
func reserialized(body []byte) iter.Seq2[[]byte, string] {
	return func(yield func([]byte, string) bool) {
		if !json.Valid(body) {
			return
		}
		ways := spellings
		if len(body) > largeBody {
			ways = spellings[:1]
		}
		for _, s := range ways[1:] {
			if !yield(rewriteStrings(body, s), s.words) {
				return
			}
		}
		root := gjson.ParseBytes(body)
		for _, order := range []string{"", "with sorted keys"} {
			for _, s := range ways {
				for _, l := range layouts {
					e := encoder{layout: l, spelling: s, sorted: order != ""}
					e.value(root, 0)
					if !yield(e.out, joinWords(l.words, order, s.words)) {
						return
					}
				}
			}
		}
	}
}

func joinWords(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), ", ")
}

// rewriteStrings rewrites the strings and keeps everything else.
func rewriteStrings(body []byte, s spelling) []byte {
	e := encoder{spelling: s}
	for i := 0; i < len(body); i++ {
		if body[i] != '"' {
			e.out = append(e.out, body[i])
			continue
		}
		end := i + 1
		for body[end] != '"' { // the JSON is valid: it ends
			if body[end] == '\\' {
				end++
			}
			end++
		}
		e.text(string(body[i : end+1]))
		i = end
	}
	return e.out
}

type encoder struct {
	layout
	spelling
	sorted bool
	out    []byte
}

type member struct {
	key   string // as it was written
	value gjson.Result
}

func (e *encoder) value(v gjson.Result, depth int) {
	switch {
	case v.IsObject():
		var members []member
		v.ForEach(func(key, value gjson.Result) bool {
			members = append(members, member{key.Raw, value})
			return true
		})
		if e.sorted {
			slices.SortStableFunc(members, func(a, b member) int { return cmp.Compare(unquote(a.key), unquote(b.key)) })
		}
		e.list('{', '}', len(members), depth, func(i int) {
			e.text(members[i].key)
			e.out = append(e.out, e.colon...)
			e.value(members[i].value, depth+1)
		})
	case v.IsArray():
		items := v.Array()
		e.list('[', ']', len(items), depth, func(i int) { e.value(items[i], depth+1) })
	case v.Type == gjson.String:
		e.text(v.Raw)
	default:
		e.out = append(e.out, v.Raw...) // numbers keep their digits
	}
}

func (e *encoder) list(open, end byte, n, depth int, item func(int)) {
	e.out = append(e.out, open)
	for i := range n {
		if i > 0 {
			e.out = append(e.out, e.comma...)
		}
		e.newline(depth + 1)
		item(i)
	}
	if n > 0 {
		e.newline(depth)
	}
	e.out = append(e.out, end)
}

func (e *encoder) newline(depth int) {
	if e.indent == "" {
		return
	}
	e.out = append(e.out, '\n')
	for range depth {
		e.out = append(e.out, e.indent...)
	}
}

func unquote(raw string) string {
	var text string
	if json.Unmarshal([]byte(raw), &text) != nil {
		return raw
	}
	return text
}

// text writes a string, given as it was written.
func (e *encoder) text(raw string) {
	if e.verbatim {
		e.out = append(e.out, raw...)
		return
	}
	e.out = append(e.out, '"')
	for _, r := range unquote(raw) {
		e.letter(r)
	}
	e.out = append(e.out, '"')
}

var shortEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`,
}

func (e *encoder) letter(r rune) {
	short, escaped := shortEscapes[r]
	switch {
	case strings.ContainsRune(e.html, r):
		e.escape(r)
	case escaped:
		e.out = append(e.out, short...)
	case r == '/' && e.slash:
		e.out = append(e.out, `\/`...)
	case r < ' ', r > '~' && e.ascii:
		e.escape(r)
	default:
		e.out = utf8.AppendRune(e.out, r)
	}
}

func (e *encoder) escape(r rune) {
	units := []rune{r}
	if high, low := utf16.EncodeRune(r); r > 0xffff {
		units = []rune{high, low}
	}
	digits := "0123456789abcdef"
	if e.upper {
		digits = "0123456789ABCDEF"
	}
	for _, u := range units {
		e.out = append(e.out, '\\', 'u', digits[u>>12&15], digits[u>>8&15], digits[u>>4&15], digits[u&15])
	}
}
