// Package texts cuts texts that others have chosen.
package texts

import "unicode/utf8"

// Ellipsis says that a text was cut.
const Ellipsis = "…"

// Cut returns the beginning of a text that has at most the given number of bytes, or a few less
// so that it ends with a whole character.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}
