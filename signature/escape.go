package signature

import (
	"errors"
	"strings"
)

var escapeText = strings.NewReplacer("\n", `\n`, "\t", `\t`, `\`, `\\`, `{`, `\{`, `}`, `\}`)

func unescapeText(text string, i int) (byte, error) {
	if i+1 < len(text) {
		switch c := text[i+1]; c {
		case 'n':
			return '\n', nil
		case 't':
			return '\t', nil
		case '\\', '{', '}':
			return c, nil
		}
	}
	return 0, errors.New(`a backslash that escapes nothing: there are \n \t \\ \{ \}`)
}

var escapeName = strings.NewReplacer(`\`, `\\`, `|`, `\|`, `{`, `\{`, `}`, `\}`)

func unescapeName(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+1 < len(name) {
			i++
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// isAlphanumeric is for ASCII.
func isAlphanumeric(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' }

// splitUnescaped cuts text at sep, except where a backslash precedes it. The
// backslashes stay.
func splitUnescaped(text string, sep byte) []string {
	var parts []string
	start := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case sep:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// closingBrace finds the brace that ends the placeholder starting at i, or -1.
func closingBrace(text string, i int) int {
	for j := i + 1; j < len(text); j++ {
		switch text[j] {
		case '\\':
			j++
		case '}':
			return j
		}
	}
	return -1
}
