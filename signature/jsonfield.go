package signature

import (
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// uniqueJSON says whether each key of a path is there once at most.
func uniqueJSON(body, path string) bool {
	keys, err := splitPath(path)
	if err != nil {
		return false
	}
	v := gjson.Parse(body)
	for _, key := range keys {
		var found gjson.Result
		count, index := 0, 0
		array := v.IsArray()
		if !array && !v.IsObject() {
			return true
		}
		v.ForEach(func(k, value gjson.Result) bool {
			if array && strconv.Itoa(index) == key || !array && k.Str == key {
				found = value
				count++
			}
			index++
			return count < 2
		})
		if count != 1 {
			return count == 0
		}
		v = found
	}
	return true
}

// signedFields are the fields that a template takes out of a body which it
// does not sign as a whole.
func (t *Template) signedFields() []Source {
	if t.readsBody() {
		return nil
	}
	var fields []Source
	for _, p := range t.pieces {
		if p.placeholder == nil {
			continue
		}
		if f, ok := p.placeholder.field(); ok && f.Kind != SourceForm {
			fields = append(fields, f)
		}
	}
	return fields
}

// checkFields is for requests of which only some fields are signed, and is
// asked once they are known to be: a second "id", or JSON that parsers read
// in different ways, would show the app something that the guard did not see.
func (s *Scheme) checkFields(r *Request) error {
	if len(s.fields) == 0 {
		return nil
	}
	body := ""
	for _, f := range s.fields {
		var text string
		path := f.Name
		if f.Kind == SourceFormJSON {
			field, rest, err := splitFormJSON(f.Name)
			if err != nil {
				return err
			}
			text, path = readFormBody(r, field).Text, rest
		} else {
			if body == "" {
				body = string(r.Body)
			}
			text = body
		}
		if !json.Valid([]byte(text)) {
			return refuse(SignatureMalformed, "%s is signed, and what it is in is not JSON", f)
		}
		if !uniqueJSON(text, path) {
			return refuse(SignatureMalformed, "%s is signed and was sent more than once", f)
		}
	}
	return nil
}

// appendEach writes the values that a path with stars names: how many elements
// the list has, and each value after its length. So ["ab"] and ["a","b"] are
// two texts. An empty list writes nothing and counts as missing.
func (ph placeholder) appendEach(dst, body []byte, path []string) ([]byte, error) {
	star := slices.Index(path, "*")
	if star < 0 {
		text, kind := readJSON(body, joinPath(path))
		if kind == jsonMissing && !slices.Contains(ph.funcs, optional) {
			return dst, refuse(SignatureMalformed, "an element of %s has no such value", ph)
		}
		return append(dst, text...), nil
	}
	list := gjson.ParseBytes(body)
	if star > 0 {
		text, kind := readJSON(body, joinPath(path[:star]))
		if kind != jsonNested {
			return dst, nil
		}
		list = gjson.Parse(text)
	}
	if !list.IsArray() {
		return dst, nil
	}
	var elements [][]byte
	var err error
	list.ForEach(func(_, element gjson.Result) bool {
		text := []byte(element.Raw)
		if rest := path[star+1:]; len(rest) > 0 {
			text, err = ph.appendEach(nil, text, rest)
		} else if element.Type == gjson.String {
			text = []byte(element.Str)
		}
		elements = append(elements, text)
		return err == nil
	})
	if err != nil || len(elements) == 0 {
		return dst, err
	}
	dst = strconv.AppendInt(dst, int64(len(elements)), 10)
	for _, text := range elements {
		dst = append(dst, ';')
		dst = strconv.AppendInt(dst, int64(len(text)), 10)
		dst = append(dst, ':')
		dst = append(dst, text...)
	}
	return dst, nil
}

// phpJSON writes JSON as PHP's json_encode does without flags: no spaces, "/"
// as "\/" and everything beyond ASCII as \uXXXX in lower case. The order of
// keys and the text of numbers stay as they were sent; PHP decodes and encodes
// both to themselves.
func phpJSON(dst []byte, start int) []byte {
	src := slices.Clone(dst[start:])
	dst = dst[:start]
	for i := 0; i < len(src); i++ {
		switch c := src[i]; c {
		case ' ', '\t', '\r', '\n':
		case '"':
			end := endOfString(src, i)
			dst = append(dst, '"')
			dst = appendPHPText(dst, gjson.ParseBytes(src[i:end]).Str)
			dst = append(dst, '"')
			i = end - 1
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// endOfString is the place after the quote that ends the string at i.
func endOfString(src []byte, i int) int {
	for j := i + 1; j < len(src); j++ {
		switch src[j] {
		case '\\':
			j++
		case '"':
			return j + 1
		}
	}
	return len(src)
}

const lowerHex = "0123456789abcdef"

func appendPHPText(dst []byte, text string) []byte {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, text[i]) // PHP would refuse it; it cannot verify
		case r == '"' || r == '\\' || r == '/':
			dst = append(dst, '\\', byte(r))
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r >= ' ' && r <= '~', r == 0x7f:
			dst = append(dst, byte(r))
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				dst = append(dst, '\\', 'u', lowerHex[unit>>12], lowerHex[unit>>8&15], lowerHex[unit>>4&15], lowerHex[unit&15])
			}
		}
		i += size
	}
	return dst
}
