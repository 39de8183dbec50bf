package signature

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// replaces reports whether decoding a JSON string has put the replacement character into
// the place of a lone surrogate, \ud800 for example: half of a character, which JSON can
// write and UTF-8 cannot. Two texts would become one by that.
func replaces(v gjson.Result) bool {
	if v.Type == gjson.JSON {
		return loneSurrogate(v.Raw, 0) >= 0
	}
	return v.Type == gjson.String && strings.ContainsRune(v.Str, utf8.RuneError) && loneSurrogate(v.Raw, 0) >= 0
}

// textOf is the text of a JSON string, in which no two are one.
func textOf(v gjson.Result) string {
	if replaces(v) {
		return distinctText(v.Raw)
	}
	return v.Str
}

// loneSurrogate returns where the first lone surrogate from i on is, or -1.
func loneSurrogate(raw string, i int) int {
	for ; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		unit, ok := escapedUnit(raw[i:])
		switch {
		case !ok:
			i++ // another escape
		case !utf16.IsSurrogate(unit):
			i += 5
		case pairs(unit, raw[i+6:]):
			i += 11
		default:
			return i
		}
	}
	return -1
}

// distinctText decodes a JSON string that has lone surrogates, and writes those as the three
// bytes that they would have in UTF-8 if it had them.
func distinctText(raw string) string {
	var b strings.Builder
	start := 1 // of what is to be decoded, after the quote
	for at := loneSurrogate(raw, start); at >= 0; at = loneSurrogate(raw, start) {
		unit, _ := escapedUnit(raw[at:])
		b.WriteString(gjson.Parse(`"` + raw[start:at] + `"`).Str)
		b.Write([]byte{0xe0 | byte(unit>>12), 0x80 | byte(unit>>6&0x3f), 0x80 | byte(unit&0x3f)})
		start = at + 6
	}
	b.WriteString(gjson.Parse(`"` + raw[start:]).Str)
	return b.String()
}

// pairs reports whether one surrogate is followed by the other half of its character.
func pairs(first rune, rest string) bool {
	second, ok := escapedUnit(rest)
	return ok && utf16.DecodeRune(first, second) != utf8.RuneError
}

// escapedUnit reads one \uXXXX.
func escapedUnit(raw string) (rune, bool) {
	if len(raw) < 6 || raw[:2] != `\u` {
		return 0, false
	}
	unit, err := strconv.ParseUint(raw[2:6], 16, 16)
	return rune(unit), err == nil
}
