package config

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode"
)

//go:embed providers/*.caddyfile
var catalogueFiles embed.FS

// Catalogue is the built-in set of providers, by name.
type Catalogue map[string]Provider

// Builtin returns the catalogue that is compiled in. It panics if one of its
// files does not parse; the tests parse every one.
var Builtin = sync.OnceValue(func() Catalogue { return must(loadCatalogue(catalogueFiles, "providers")) })

func must[T any](files T, err error) T {
	if err != nil {
		panic(err)
	}
	return files
}

func loadCatalogue(files fs.FS, dir string) (Catalogue, error) {
	return parseFiles("catalogue", files, dir, ParseLines)
}

// parseFiles parses each file of a directory. The results are by the file's name, without
// its extension. what names them in errors.
func parseFiles[T any](what string, files fs.FS, dir string, parse func(file string, text []byte) (T, error)) (map[string]T, error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	parsed := make(map[string]T)
	for _, entry := range entries {
		file := path.Join(dir, entry.Name())
		text, err := fs.ReadFile(files, file)
		if err == nil {
			parsed[strings.TrimSuffix(entry.Name(), ".caddyfile")], err = parse(file, text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	return parsed, nil
}

// ParseLines parses a file that contains the lines of one provider and nothing
// else.
func ParseLines(file string, text []byte) (Provider, error) {
	var provider Provider
	if err := readLines(file, text, provider.ParseLine); err != nil {
		return Provider{}, err
	}
	return provider, nil
}

// Names lists the catalogue in alphabetical order.
func (c Catalogue) Names() []string {
	return slices.Sorted(maps.Keys(c))
}

// Get finds a provider. The error for an unknown name suggests similar names. For
// a well-known sender that is not supported, it gives the reason.
func (c Catalogue) Get(name string) (Provider, error) {
	if p, ok := c[name]; ok {
		return p, nil
	}
	found := c.named(name)
	if gap := gapNamed(name); gap != "" && len(found) == 0 {
		return Provider{}, Unsupported[gap].Err(gap)
	}
	if len(found) == 0 {
		found = Similar(name, c.Names())
	}
	similar := ""
	if len(found) > 0 {
		similar = "did you mean " + strings.Join(found[:min(len(found), mostSimilar)], ", ") + "? "
	}
	return Provider{}, fmt.Errorf("unknown provider %q: %s`caddy webhook-guard providers` lists all; describe another one with `provider %s { … }` in the global webhook_guard option", name, similar, name)
}

// mostSimilar is how many names an error suggests at most.
const mostSimilar = 5

// named lists the providers of which the name or the title has the words of a text, in any
// case.
func (c Catalogue) named(text string) []string {
	return slices.DeleteFunc(c.Names(), func(name string) bool { return !hasWords(text, name, c[name].Title) })
}

// gapNamed is the sender that is not supported and is meant by a text: its name, its title,
// or words of them.
func gapNamed(text string) string {
	if _, known := Unsupported[text]; known {
		return text
	}
	for _, name := range slices.Sorted(maps.Keys(Unsupported)) {
		if hasWords(text, name, Unsupported[name].Title) {
			return name
		}
	}
	return ""
}

// hasWords reports whether one of the names has the words of a text, one after the other.
func hasWords(text string, names ...string) bool {
	wanted := words(text)
	return wanted != "  " && slices.ContainsFunc(names, func(name string) bool { return strings.Contains(words(name), wanted) })
}

// words are those of a text, in small letters, with a space before and after each.
func words(text string) string {
	isGap := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	return " " + strings.Join(strings.FieldsFunc(strings.ToLower(text), isGap), " ") + " "
}

// Similar returns the known names that contain the given one, are contained in it, or
// differ from it by the fewest letters: two at most, and half of them. They are five at
// most.
func Similar(name string, all []string) []string {
	name = strings.ToLower(name)
	allowed := min(2, len(name)/2)
	for _, known := range all {
		allowed = min(allowed, distance(name, strings.ToLower(known)))
	}
	var names []string
	for _, known := range all {
		lower := strings.ToLower(known)
		held := len(name) > 2 && (strings.Contains(lower, name) || strings.Contains(name, lower))
		if held || distance(name, lower) <= allowed {
			names = append(names, known)
		}
	}
	return names[:min(len(names), mostSimilar)]
}

// distance is the Levenshtein distance of two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
