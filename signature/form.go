package signature

import (
	"bytes"
	"net/url"
)

// readForm returns one field of a query string or of a form body
// (application/x-www-form-urlencoded). It walks the text in place: a form of a
// megabyte must not become a map of a megabyte to read one field of it.
func readForm(text []byte, name string) Value {
	var v Value
	seen := false
	for len(text) > 0 {
		var pair []byte
		pair, text, _ = bytes.Cut(text, []byte("&"))
		rawKey, rawValue, _ := bytes.Cut(pair, []byte("="))
		if !isFormKey(rawKey, name) {
			continue
		}
		if seen {
			v.Repeated = true
			return v
		}
		seen = true
		value, err := url.QueryUnescape(string(rawValue))
		if err != nil {
			v.Bad = true
			continue
		}
		v.Text, v.Found = value, value != ""
	}
	return v
}

func isFormKey(raw []byte, name string) bool {
	if !bytes.ContainsAny(raw, "%+") {
		return string(raw) == name // compared without a copy
	}
	key, err := url.QueryUnescape(string(raw))
	return err == nil && key == name
}
