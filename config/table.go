package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// ErrUnknownLine is returned by [Provider.ParseLine] for a line that no provider has.
var ErrUnknownLine = errors.New("unknown line")

// line describes a line of a block that is parsed into a T.
type line[T any] struct {
	// syntax is what errors and docs/caddyfile.md show. It begins with the line's name.
	syntax string

	// parse gets at least one word. It returns a [usage] error where the words do not
	// match the syntax.
	parse func(into *T, args []string) error

	// repeatable lines may appear more than once in a block and add up.
	repeatable bool
}

// table has the lines of a block, by name.
type table[T any] map[string]line[T]

func tableOf[T any](lines []line[T]) table[T] {
	t := make(table[T], len(lines))
	for _, l := range lines {
		name, _, _ := strings.Cut(l.syntax, " ")
		t[name] = l
	}
	return t
}

// usage is an error to which the syntax of the line is added.
type usage string

func (u usage) Error() string { return string(u) }

// parse reads the line whose name is at d's cursor. For a line that is not in the
// table it returns [ErrUnknownLine] and does not move the cursor.
func (t table[T]) parse(d *caddyfile.Dispenser, into *T) error {
	name := d.Val()
	l, ok := t[name]
	if !ok {
		return ErrUnknownLine
	}
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("%s: needs a value: %s", name, l.syntax)
	}
	if err := l.parse(into, args); err != nil {
		if misused := usage(""); errors.As(err, &misused) {
			return d.Errf("%s: %v: write %s", name, err, l.syntax)
		}
		return d.Errf("%s: %v", name, err)
	}
	// Otherwise the block in `secret x { … }` would be read as lines.
	if d.NextBlock(d.Nesting()) {
		return d.Errf("%s: takes no block", name)
	}
	return nil
}

// Once is the set of lines that a block has so far. It refuses a second one where a line
// is not repeatable.
type Once map[string]bool

// Check adds the line whose name is at d's cursor. Lines that are repeatable and not a
// provider's must be named.
func (o Once) Check(d *caddyfile.Dispenser, repeatable ...string) error {
	name := d.Val()
	if o[name] && !providerLines[name].repeatable && !slices.Contains(repeatable, name) {
		return d.Errf("%s is set twice", name)
	}
	o[name] = true
	return nil
}

// readLines calls read at the first word of each line of a file.
func readLines(file string, text []byte, read func(*caddyfile.Dispenser) error, repeatable ...string) error {
	tokens, err := caddyfile.Tokenize(text, file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	seen := make(Once)
	for d := caddyfile.NewDispenser(tokens); d.Next(); {
		if err := seen.Check(d, repeatable...); err != nil {
			return err
		}
		if err := read(d); err != nil {
			return unknownLine(d, err)
		}
	}
	return nil
}

// unknownLine adds the line and its position to an [ErrUnknownLine].
func unknownLine(d *caddyfile.Dispenser, err error) error {
	if errors.Is(err, ErrUnknownLine) {
		return d.Errf("unknown line %q", d.Val())
	}
	return err
}

// SimilarLines names the lines that a line which no provider has may be meant for, those of
// a provider and others, for the end of an error; "" where there is none.
func SimilarLines(name string, others ...string) string {
	similar := Similar(name, append(slices.Sorted(maps.Keys(providerLines)), others...))
	if len(similar) == 0 {
		return ""
	}
	return " (did you mean " + strings.Join(similar, ", ") + "?)"
}
