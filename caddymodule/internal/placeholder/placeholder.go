// Package placeholder resolves the placeholders of a configuration.
package placeholder

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// Text is a configured text, taken apart once. What its placeholders stand for is never
// looked at for placeholders again: a secret may well hold a brace.
type Text struct{ parts []part }

// part is text, or the name of a placeholder.
type part struct {
	text        string
	placeholder bool
}

// Lookup finds what a placeholder stands for. [caddy.Replacer.Get] is one.
type Lookup func(name string) (any, bool)

// Parse takes a text apart as Caddy does: \{ and \} are braces, and so is a { that
// nothing closes.
func Parse(text string) Text {
	var t Text
	var literal strings.Builder
	flush := func() {
		if literal.Len() > 0 {
			t.parts = append(t.parts, part{text: literal.String()})
			literal.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && (text[i+1] == '{' || text[i+1] == '}') {
			i++
			literal.WriteByte(text[i])
			continue
		}
		end := -1
		if text[i] == '{' {
			end = closing(text, i+1)
		}
		if end < 0 {
			literal.WriteByte(text[i])
			continue
		}
		flush()
		t.parts = append(t.parts, part{text[i+1 : end], true})
		i = end
	}
	flush()
	return t
}

// closing is the place of the first closing brace that is not escaped, or -1.
func closing(text string, from int) int {
	for i := from; i < len(text); i++ {
		if text[i] == '}' && text[i-1] != '\\' {
			return i
		}
	}
	return -1
}

// Varies reports whether there is any placeholder in the text.
func (t Text) Varies() bool {
	for _, p := range t.parts {
		if p.placeholder {
			return true
		}
	}
	return false
}

// Literal is a text without placeholders, whatever it holds.
func Literal(text string) Text { return Text{[]part{{text: text}}} }

// Put returns the text with others in the place of the placeholders for which there is one.
func (t Text) Put(in func(name string) (Text, bool)) Text {
	var put Text
	for _, p := range t.parts {
		if other, ok := in(p.text); p.placeholder && ok {
			put.parts = append(put.parts, other.parts...)
		} else {
			put.parts = append(put.parts, p)
		}
	}
	return put
}

// String is the text as it would be configured.
func (t Text) String() string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.placeholder {
			b.WriteString("{" + p.text + "}")
		} else {
			b.WriteString(braces.Replace(p.text))
		}
	}
	return b.String()
}

var braces = strings.NewReplacer("{", `\{`, "}", `\}`)

// Names are the names of its placeholders.
func (t Text) Names() []string {
	var names []string
	for _, p := range t.parts {
		if p.placeholder {
			names = append(names, p.text)
		}
	}
	return names
}

// ErrUnknown is that of a placeholder which nothing knows. The placeholder is not named:
// what is none may be a part of a secret.
var ErrUnknown = errors.New("a {…} in it is no placeholder that is known here")

const (
	filePrefix = "file."
	envPrefix  = "env."
)

// Resolve puts what they stand for in the place of the placeholders. A placeholder that
// stands for nothing is an error: it would leave an empty or a guessable secret. Errors
// never hold a value.
func (t Text) Resolve(lookup Lookup) (string, error) { return t.fill(lookup, false) }

// Fill is Resolve for texts that are no secrets: a placeholder may stand for nothing.
func (t Text) Fill(lookup Lookup) (string, error) { return t.fill(lookup, true) }

func (t Text) fill(lookup Lookup, emptyToo bool) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		text := p.text
		if p.placeholder {
			var err error
			if text, err = value(p.text, lookup); err != nil && (!emptyToo || !errors.Is(err, errEmpty)) {
				return "", err
			}
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// errEmpty is that of a placeholder which stands for nothing.
var errEmpty = errors.New("is empty")

func value(name string, lookup Lookup) (string, error) {
	if path, ok := strings.CutPrefix(name, filePrefix); ok {
		return readFile(path)
	}
	found, ok := lookup(name)
	if !ok {
		return "", ErrUnknown
	}
	if text := caddy.ToString(found); text != "" {
		return text, nil
	}
	if strings.HasPrefix(name, envPrefix) {
		return "", fmt.Errorf("{%s} %w or not set: set it before Caddy starts", name, errEmpty)
	}
	return "", fmt.Errorf("{%s} %w", name, errEmpty)
}

// maxFile bounds what is read of a file, as Caddy does.
const maxFile = 1 << 20

// readFile is what {file.…} stands for: without the line break at the end, as Caddy has
// it.
func readFile(path string) (string, error) {
	text, err := readAll(path)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause
		}
		return "", fmt.Errorf("{file.%s}: the file is missing or cannot be read: %w: check that it is there and that Caddy's user may read it", path, err)
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("{file.%s}: the file is larger than %d KiB: it is not one secret", path, maxFile>>10)
	}
	trimmed := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if trimmed == "" {
		return "", fmt.Errorf("{file.%s}: the file is empty: write the value into it", path)
	}
	return trimmed, nil
}

func readAll(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxFile+1))
}

// Load takes apart a text that is resolved when the configuration loads.
func Load(text string) (Text, error) {
	if strings.Contains(text, "{http.request.uri.path.file.") {
		return Text{}, errors.New("a {file.…} with a relative path is Caddy's shorthand for a part of the request: write {file./absolute/path}")
	}
	return Parse(text), nil
}

// Loaded resolves the text with what is known when the configuration loads.
func (t Text) Loaded() (string, error) {
	text, err := t.Resolve(caddy.NewReplacer().Get)
	switch {
	case errors.Is(err, ErrUnknown):
		return "", errors.New("a {…} in it is no placeholder that is known when the configuration loads: write {env.NAME} or {file./absolute/path}; a literal { is written \\{")
	case err != nil:
		return "", err
	case text == "":
		return "", errors.New("it is empty")
	}
	return text, nil
}

// Resolve is [Load] and [Text.Loaded] in one.
func Resolve(text string) (string, error) {
	parsed, err := Load(text)
	if err != nil {
		return "", err
	}
	return parsed.Loaded()
}
