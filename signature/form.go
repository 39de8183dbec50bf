package signature

import (
	"bytes"
	"errors"
	"mime"
	"net/url"
	"slices"
	"strings"
)

// readForm returns one field of a query string, or of a form that is no multipart body.
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
		v = unescapedValue(rawValue)
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

// readFormBody returns one field of a body that is a form of either type. The body itself
// says which: the Content-Type is not signed, and a form that is called something else
// would be one without its fields.
func readFormBody(r *Request, name string) Value { return formOf(r, name).value(name) }

// splitFormJSON cuts field and path apart.
func splitFormJSON(name string) (field, path string, err error) {
	first := splitUnescaped(name, '.')[0]
	if len(first) == len(name) || first == "" {
		return "", "", errors.New("form_json needs a field and a path in its JSON, with a dot between them: form_json payload.event.id")
	}
	path = name[len(first)+1:]
	_, err = splitPath(path)
	return unescapeName(first), path, err
}

func readFormJSON(r *Request, name string) Value {
	field, path, err := placeOfJSON(r, name)
	if err != nil {
		return Value{}
	}
	v := readFormBody(r, field)
	if !v.Found || v.Bad || v.Repeated {
		return v
	}
	return jsonValue([]byte(v.Text), path)
}

// contentType is the body's media type, as the request says; empty where it is missing,
// repeated or malformed.
func contentType(r *Request) (string, map[string]string) {
	mediaType, params, err := mime.ParseMediaType(single(headerValue(r.Header, "Content-Type")))
	if err != nil {
		return "", nil
	}
	return mediaType, params
}

func isForm(r *Request) bool {
	mediaType, params := contentType(r)
	return mediaType == "application/x-www-form-urlencoded" && plainCharset(params["charset"]) && !r.Encoded()
}

// formField is one field of a form, decoded.
type formField struct {
	key    string
	values []string
}

// sortedForm is a form's fields by key, the values of one key as they came.
func sortedForm(body []byte) ([]formField, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		// The error would quote the body.
		return nil, refuse(SignatureMalformed, "the form cannot be read")
	}
	fields := make([]formField, 0, len(form))
	for key, values := range form {
		fields = append(fields, formField{key, values})
	}
	slices.SortFunc(fields, func(a, b formField) int { return strings.Compare(a.key, b.key) })
	return fields, nil
}

// appendFormSorted writes key and value of each field, sorted by key, as
// Mandrill signs them. A body of another type is no form, whatever it looks
// like.
func appendFormSorted(dst []byte, r *Request) ([]byte, error) {
	if !isForm(r) {
		if len(r.Body) == 0 {
			return dst, nil
		}
		return dst, refuse(SignatureMalformed, "{form_sorted} is signed and the body is no form")
	}
	text, err := sortedOf(r, writeSorted)
	return append(dst, text...), err
}

func writeSorted(fields []formField) ([]byte, error) {
	var text []byte
	for _, f := range fields {
		if len(f.values) > 1 {
			return nil, refuse(SignatureMalformed, "{form_sorted} is signed and a field was sent more than once")
		}
		text = append(text, f.key...)
		text = append(text, f.values[0]...)
	}
	return text, nil
}
