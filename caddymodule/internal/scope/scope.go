// Package scope matches the names of scopes with what a guard's scope line says.
package scope

import (
	"regexp"
	"strings"
)

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// Matches reports whether a guard with the given scope line can have events in the scope
// named: they are equal, or differ only in what stands in for the line's placeholders.
func Matches(line, name string) bool {
	if line == name {
		return true
	}
	if !strings.Contains(line, "{") {
		return false
	}
	var pattern strings.Builder
	pattern.WriteString(`(?s)\A`)
	end := 0
	for _, at := range placeholder.FindAllStringIndex(line, -1) {
		pattern.WriteString(regexp.QuoteMeta(line[end:at[0]]) + `.+`)
		end = at[1]
	}
	pattern.WriteString(regexp.QuoteMeta(line[end:]) + `\z`)
	matched, err := regexp.MatchString(pattern.String(), name)
	return err == nil && matched
}
