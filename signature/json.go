package signature

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// jsonKind is what stands at a path.
type jsonKind int

const (
	jsonMissing jsonKind = iota // absent or null
	jsonScalar                  // a string or a number
	jsonBool
	jsonNested // an object or an array
)

// splitPath cuts a dotted path into keys. A backslash takes the next
// character literally.
func splitPath(path string) ([]string, error) {
	var keys []string
	var key strings.Builder
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\' && i+1 == len(path):
			return nil, fmt.Errorf(`body path %q ends in a single backslash`, path)
		case c == '\\':
			i++
			key.WriteByte(path[i])
		case c == '.':
			keys = append(keys, key.String())
			key.Reset()
		default:
			key.WriteByte(c)
		}
	}
	keys = append(keys, key.String())
	for _, k := range keys {
		if k == "" {
			return nil, errors.New(`a body path has an empty key: write keys with dots between them, as in data.id`)
		}
	}
	return keys, nil
}

// plainPath reports whether gjson reads the path exactly as we do. All other
// characters have a special meaning there: wildcards, queries, modifiers, pipes.
func plainPath(path string) bool {
	for _, c := range []byte(path) {
		if !isAlphanumeric(c) && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// readJSON returns the text at a path of the body. A string gives its
// content, everything else what was written: 9007199254740993 must not become
// 9007199254740992, and 1.0 must not become 1.
//
// The body is not validated: what is read is either under a MAC or only used
// once one has matched.
func readJSON(body []byte, path string) (string, jsonKind) {
	v := findJSON(body, path)
	switch v.Type {
	case gjson.String:
		return textOf(v), jsonScalar
	case gjson.Number:
		return v.Raw, jsonScalar
	case gjson.True, gjson.False:
		return v.Raw, jsonBool
	case gjson.JSON:
		return v.Raw, jsonNested
	default:
		return "", jsonMissing
	}
}

// findJSON returns what stands at a path of the body.
func findJSON(body []byte, path string) gjson.Result {
	body = bytes.TrimPrefix(body, []byte(byteOrderMark)) // which .NET writes, and readers pass over
	switch {
	case !isObject(body) && !isArray(body):
		return gjson.Result{} // gjson would search on for the first brace
	case plainPath(path):
		return gjson.GetBytes(body, path)
	}
	return walkJSON(body, path)
}

// jsonValue is the string or number at a path.
func jsonValue(body []byte, path string) Value {
	v := findJSON(body, path)
	switch v.Type {
	case gjson.String:
		text := textOf(v)
		return Value{Text: text, Found: text != ""}
	case gjson.Number:
		return Value{Text: v.Raw, Found: true}
	case gjson.Null:
		return Value{}
	}
	return Value{Text: v.Raw, Bad: true}
}

// walkJSON takes a path with special characters key by key. gjson knows
// escapes in the keys of objects only: for an array, `\#` is still its length.
func walkJSON(body []byte, path string) gjson.Result {
	keys, err := splitPath(path)
	if err != nil {
		return gjson.Result{}
	}
	var v gjson.Result
	for i, key := range keys {
		// The first step reads the body itself, so that only the part that
		// is asked for is copied.
		array := isArray(body)
		if i > 0 {
			array = v.IsArray()
		}
		step := gjson.Escape(key)
		if array && strings.Trim(key, "0123456789") != "" {
			return gjson.Result{}
		}
		if i == 0 {
			v = gjson.GetBytes(body, step)
		} else {
			v = gjson.Get(v.Raw, step)
		}
		if i+1 < len(keys) && !v.IsObject() && !v.IsArray() {
			return gjson.Result{}
		}
	}
	return v
}

func isObject(body []byte) bool { return firstByte(body) == '{' }
func isArray(body []byte) bool  { return firstByte(body) == '[' }

func firstByte(body []byte) byte {
	body = bytes.TrimLeft(body, " \t\r\n")
	if len(body) == 0 {
		return 0
	}
	return body[0]
}

// holdsPath reports whether outer is the same path, or that of an object around it.
func holdsPath(outer, inner string) bool {
	o, err := splitPath(outer)
	if err != nil {
		return false
	}
	i, err := splitPath(inner)
	return err == nil && len(o) <= len(i) && slices.Equal(o, i[:len(o)])
}

// absentJSON reports whether nothing stands at a path, nor at another one that an app could
// take for it. What is null is absent.
func absentJSON(body, path string) bool {
	_, kind := readJSON([]byte(body), path)
	return kind == jsonMissing && uniqueJSON(body, path)
}

// uniqueJSON reports whether each key of a path is there once at most, and no other key
// that an app could take for it.
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
			switch {
			case array && strconv.Itoa(index) == key, !array && k.Str == key:
				found = value
				count++
			case !array && alike(k.Str, key):
				count = 2
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
