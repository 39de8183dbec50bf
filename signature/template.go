package signature

import (
	"errors"
	"fmt"
	"hash"
	"strings"
)

// Template is text with placeholders: the bytes under a MAC.
type Template struct {
	pieces []piece
}

// piece is either text or a placeholder.
type piece struct {
	text        []byte
	placeholder *placeholder
}

// ParseTemplate reads a template: literal text, with \n \t \\ \{ \} for the
// characters that cannot stand for themselves, and placeholders:
//
//	{body}                     the raw body
//	{timestamp} {id}           the text of the stamp's and the ID's source
//	{nonce}                    a part of the signature header
//	{method} {scheme} {host} {path} {query}
//	{uri} {url}                path and query; scheme, host, path and query
//	{header.NAME} {query.KEY} {form.FIELD} {body.PATH}
//	{form_json.FIELD.PATH}     a value of the JSON in a form field
//	{form_sorted}              keys and values of a form, sorted by key
//	{param.NAME}               a constant of the provider
//
// In a body path, * stands for every element of a list or object:
// {body.events.*.id} writes how many there are, and each value after its
// length, so that no two lists give one text. [Compile] refuses it in what is
// signed, where no sender does this.
//
// Functions follow a bar: {body|sha256|hex}. There are sha256, hex, base64,
// lower, unescape_reserved, php_json, crc32, and those that change nothing: optional, json and
// line. What is missing in a request is an error when the template is written, unless it is
// optional.
func ParseTemplate(text string) (*Template, error) {
	t, err := ParseSigned(text)
	if err == nil && t.uses(varSecret) {
		return nil, errors.New("{secret} can only stand in a signed template, under plain-sha1 or plain-sha256")
	}
	return t, err
}

// ParseSigned is [ParseTemplate] for a signed template, which may hold {secret}.
func ParseSigned(text string) (*Template, error) {
	t := &Template{}
	var literal []byte
	for i := 0; i < len(text); {
		switch text[i] {
		case '{':
			end := closingBrace(text, i)
			if end < 0 {
				return nil, fmt.Errorf("%q has no closing brace: write \\{ for a brace in the text", text[i:])
			}
			ph, err := parsePlaceholder(text[i+1 : end])
			if err != nil {
				return nil, err
			}
			t.addText(literal)
			literal = nil
			t.pieces = append(t.pieces, piece{placeholder: &ph})
			i = end + 1
		case '}':
			return nil, errors.New("a closing brace without an opening one: write \\} for a brace in the text")
		case '\\':
			c, err := unescapeText(text, i)
			if err != nil {
				return nil, err
			}
			literal = append(literal, c)
			i += 2
		default:
			literal = append(literal, text[i])
			i++
		}
	}
	t.addText(literal)
	if len(t.pieces) == 0 {
		return nil, errors.New("the template is empty")
	}
	return t, nil
}

func (t *Template) addText(text []byte) {
	if len(text) > 0 {
		t.pieces = append(t.pieces, piece{text: text})
	}
}

// String prints the template with short placeholder names. It parses to the
// same template.
func (t *Template) String() string {
	var b strings.Builder
	for _, p := range t.pieces {
		if p.placeholder != nil {
			b.WriteString(p.placeholder.String())
		} else {
			b.WriteString(escapeText.Replace(string(p.text)))
		}
	}
	return b.String()
}

// Covers reports whether changing what s reads must change the template's bytes.
// {timestamp} and {id} count for nothing here, as only a [Scheme] knows what
// they stand for.
func (t *Template) Covers(s Source) bool {
	return t.hasPlaceholder(func(ph placeholder) bool { return ph.covers(s) })
}

func (t *Template) uses(v variable) bool {
	return t.hasPlaceholder(func(ph placeholder) bool { return ph.variable == v })
}

func (t *Template) hasPlaceholder(match func(placeholder) bool) bool {
	for ph := range t.placeholders {
		if match(*ph) {
			return true
		}
	}
	return false
}

// placeholders are those of the template, in order.
func (t *Template) placeholders(yield func(*placeholder) bool) {
	for _, p := range t.pieces {
		if p.placeholder != nil && !yield(p.placeholder) {
			return
		}
	}
}

func (t *Template) ends(v variable) bool {
	last := t.pieces[len(t.pieces)-1].placeholder
	return last != nil && last.variable == v
}

func (t *Template) readsBody() bool {
	return t.hasPlaceholder(func(ph placeholder) bool { return ph.holds(Source{Kind: SourceBody}) })
}

// Append appends the template's bytes for one request to dst. params are the
// constants of {param.NAME}. The error is an [*Error] that says what the
// request lacks; dst is then undefined.
func (t *Template) Append(dst []byte, r *Request, p Parts, params map[string]string) ([]byte, error) {
	e := env{r: r, parts: &p, params: params}
	for _, piece := range t.pieces {
		if piece.placeholder == nil {
			dst = append(dst, piece.text...)
			continue
		}
		var err error
		if dst, err = piece.placeholder.append(dst, &e); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// maxCollected is how much is collected before it is written, so that several large values
// take no more memory than one.
const maxCollected = 32 << 10

// hash writes the template's bytes for one request into h, the body without a
// copy. buf is a buffer to reuse. Errors are those of Append.
func (t *Template) hash(h hash.Hash, buf []byte, e *env) ([]byte, error) {
	// Small parts are collected first, since each write to a hash has a fixed cost.
	buf = buf[:0]
	for i := range t.pieces {
		ph := t.pieces[i].placeholder
		switch {
		case ph == nil:
			buf = append(buf, t.pieces[i].text...)
		case ph.isRaw():
			// The body can be megabytes, so it is not copied.
			if len(buf) > 0 {
				h.Write(buf)
				buf = buf[:0]
			}
			h.Write(e.r.Body)
		default:
			var err error
			if buf, err = ph.append(buf, e); err != nil {
				return buf, err
			}
			if len(buf) > maxCollected {
				h.Write(buf)
				buf = buf[:0]
			}
		}
	}
	if len(buf) > 0 {
		h.Write(buf)
	}
	return buf, nil
}
