package signature

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// An app may take one name for another: JSON readers of Go, .NET and Java do not tell upper
// from lower case, PHP folds the names of forms, others make objects of brackets, and text in
// C ends at a zero byte. Where only some fields of a body are signed, no other field may look
// like one of them to any of these.

// alike reports whether some reader of JSON takes one key for the other.
func alike(a, b string) bool { return a == b || foldName(a) == foldName(b) }

func foldName(name string) string {
	name, _, _ = strings.Cut(name, "\x00")
	return strings.Map(foldRune, name)
}

// foldRune returns one character for all that differ in case only: ſ is an s and the Kelvin
// sign a k to Go, İ and ı are an i to Java.
func foldRune(r rune) rune {
	if r == 'İ' || r == 'ı' {
		return 'i'
	}
	return FoldCase(r)
}

// FoldCase returns one character for all that differ in case only by Unicode's simple
// folding, as Go compares texts: ſ is an s.
func FoldCase(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return unicode.ToLower(least)
}

// alikeFields reports whether some reader of forms takes one field for the other, or for a
// list or object that is or holds it.
func alikeFields(a, b string) bool { return alikePaths(fieldPaths(a), fieldPaths(b)) }

func alikePaths(a, b [][]string) bool {
	for _, x := range a {
		for _, y := range b {
			if n := min(len(x), len(y)); slices.Equal(x[:n], y[:n]) {
				return true
			}
		}
	}
	return false
}

// fieldPaths are the ways to read a field's name: as the path that its brackets make, and
// as one name, in which PHP makes a bracket that nothing closes an underscore.
func fieldPaths(name string) [][]string {
	name = foldName(strings.Trim(name, " '\""))
	base, rest, list := strings.Cut(name, "[")
	paths := [][]string{{phpName(name)}}
	if list && base != "" {
		path := []string{phpName(base)}
		for segment := range strings.SplitSeq(rest, "[") {
			path = append(path, strings.TrimSuffix(segment, "]"))
		}
		paths = append(paths, path)
	}
	return paths
}

// phpName folds a name as PHP does (php_register_variable_ex in main/php_variables.c).
var phpName = strings.NewReplacer(" ", "_", ".", "_", "[", "_").Replace

// soleField reports whether a key of a query is there once at most, and nothing is that
// looks like it. names are those of the query.
func soleField(names []string, field string) bool {
	count := 0
	for _, name := range names {
		switch {
		case name == field:
			count++
		case alikeFields(name, field):
			return false
		}
	}
	return count <= 1
}

// pairNames are the names of a query's keys. They are false where readers see different
// ones: some take a semicolon for an ampersand, and decode what others do not.
func pairNames(text string) (names []string, ok bool) {
	if strings.Contains(text, ";") {
		return nil, false
	}
	for pair := range strings.SplitSeq(text, "&") {
		name, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, false
		}
		names = append(names, name)
	}
	return names, true
}
