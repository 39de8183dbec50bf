package signature

import (
	"errors"
	"fmt"
	"strings"
)

// format is the shape of a signature header: items of text and parts.
type format struct {
	// separators, outer first: none, one between items, or one between
	// groups and one between the items of a group.
	separators []string
	// listed: values may also be joined by a comma and a space.
	listed   bool
	patterns []pattern
	parts    partSet // of all patterns
}

// partSet says which parts there are.
type partSet uint64

func (s partSet) has(v variable) bool { return s&(1<<v) != 0 }

// pattern is the shape of one item.
type pattern struct {
	pieces []formatPiece
	// positional patterns have no text to recognise them by, so they match
	// the item at their position: Recurly sends <time>,<mac>,<mac>.
	positional bool
	parts      partSet
}

// formatPiece is text, or a part where text is empty.
type formatPiece struct {
	text string
	part variable
}

const formatParts = "{signature} {timestamp} {id} {nonce}"

var formatVariables = map[string]variable{
	"signature": varSignature, "timestamp": varTimestamp, "id": varID, "nonce": varNonce,
}

// parseFormat compiles a header format, for example t={timestamp},v1={signature}.
func parseFormat(text string, separators []string) (*format, error) {
	f := &format{separators: separators}
	if len(separators) > 2 {
		return nil, errors.New("split takes one separator, or two for groups of items: the outer one first")
	}
	items := []string{text}
	if n := len(separators); n > 0 {
		for _, sep := range separators {
			if sep == "" {
				return nil, errors.New("split needs a separator that is not empty")
			}
		}
		items = strings.Split(text, separators[n-1])
	}
	for _, item := range items {
		if len(separators) > 0 {
			item = strings.TrimSpace(item)
		}
		p, err := parsePattern(item)
		if err != nil {
			return nil, fmt.Errorf("format %q: %w", text, err)
		}
		f.patterns = append(f.patterns, p)
		f.parts |= p.parts
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("format %q %w", text, err)
	}
	f.listed = f.findListed()
	return f, nil
}

func parsePattern(text string) (pattern, error) {
	p := pattern{positional: true}
	literal := ""
	endLiteral := func() {
		if literal != "" {
			p.pieces = append(p.pieces, formatPiece{text: literal})
			p.positional = false
		}
		literal = ""
	}
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			end := closingBrace(text, i)
			if end < 0 {
				return p, errors.New(`has no closing brace: write \{ for a brace in the text`)
			}
			part, ok := formatVariables[text[i+1:end]]
			if !ok {
				return p, fmt.Errorf("unknown placeholder %s: there are %s", text[i:end+1], formatParts)
			}
			endLiteral()
			if n := len(p.pieces); n > 0 && p.pieces[n-1].text == "" {
				return p, errors.New("two placeholders need text between them, else nobody can tell where one ends")
			}
			p.pieces = append(p.pieces, formatPiece{part: part})
			p.parts |= 1 << part
			i = end
		case '}':
			return p, errors.New(`a closing brace without an opening one: write \} for a brace in the text`)
		case '\\':
			c, err := unescapeText(text, i)
			if err != nil {
				return p, err
			}
			literal += string(c)
			i++
		default:
			literal += text[i : i+1]
		}
	}
	endLiteral()
	if len(p.pieces) == 0 {
		return p, errors.New("has an empty item")
	}
	return p, nil
}

// check requires one {signature}, and each other part at most once: two timestamps in
// one header would be ambiguous.
func (f *format) check() error {
	if !f.has(varSignature) {
		return errors.New("has no {signature}")
	}
	for name, v := range formatVariables {
		// Several signatures come from repeated items, not from the format.
		if f.count(v) > 1 {
			return fmt.Errorf("has {%s} twice", name)
		}
	}
	return nil
}

// rejoin undoes what joins several values into one: a proxy, or a library, that puts a
// comma and a space between them (RFC 9110 section 5.3) where the sender has a separator
// of its own. A format without items has one value, and is left as it is.
func (f *format) rejoin(value string) string {
	if !f.listed || !strings.Contains(value, ", ") {
		return value
	}
	return strings.ReplaceAll(value, ", ", f.separators[0])
}

// isList reports whether a value is a list of signatures and nothing else, which may also
// be in several headers.
func (f *format) isList() bool {
	if f.has(varTimestamp) || f.has(varID) || f.has(varNonce) {
		return false
	}
	return f.listed || len(f.separators) > 0 && strings.TrimSpace(f.separators[0]) == ","
}

// trim takes off an item what stands around it: white space, and the commas of a list.
func (f *format) trim(item string) string {
	if f.listed {
		return strings.Trim(item, ", \t")
	}
	return strings.TrimSpace(item)
}

// findListed tells whether a comma between values can be told from the format's own text:
// where no separator is one, and no item has it at its ends or before a space.
func (f *format) findListed() bool {
	if len(f.separators) == 0 || strings.TrimSpace(f.separators[0]) == "," {
		return false
	}
	for _, p := range f.patterns {
		for i, piece := range p.pieces {
			first, last := i == 0 && strings.HasPrefix(piece.text, ","), i == len(p.pieces)-1 && strings.HasSuffix(piece.text, ",")
			if first || last || strings.Contains(piece.text, ", ") {
				return false
			}
		}
	}
	return true
}

func (f *format) count(v variable) int {
	n := 0
	for _, p := range f.patterns {
		for _, piece := range p.pieces {
			if piece.text == "" && piece.part == v {
				n++
			}
		}
	}
	return n
}

func (f *format) has(v variable) bool { return f.parts.has(v) }

// write prints a header value: the inverse of reading one.
func (f *format) write(signature string, p Parts) string {
	values := map[variable]string{
		varSignature: signature, varTimestamp: p.Timestamp, varID: p.ID, varNonce: p.Nonce,
	}
	var items []string
	for _, pattern := range f.patterns {
		item := ""
		for _, piece := range pattern.pieces {
			if piece.text != "" {
				item += piece.text
			} else {
				item += values[piece.part]
			}
		}
		items = append(items, item)
	}
	if n := len(f.separators); n > 0 {
		return strings.Join(items, f.separators[n-1])
	}
	return items[0]
}
