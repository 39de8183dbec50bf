package signature

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/tidwall/sjson"
)

// put writes the value to its place.
func (l *signatureLine) put(r *Request, value string) error {
	switch name := l.source.Name; l.source.Kind {
	case SourceHeader:
		if l.numbered {
			name += "1"
		}
		r.Header[name] = []string{value}
	case SourceHeaderJSON:
		return putHeaderJSON(r, name, value)
	case SourceQuery:
		r.Query = setForm(r.Query, name, value)
	case SourceForm:
		if len(r.Body) > 0 && !isForm(r) {
			return fmt.Errorf("the request needs a form (application/x-www-form-urlencoded) for %s", l)
		}
		r.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		r.Body = []byte(setForm(string(r.Body), name, value))
	case SourceBody:
		if name == "" {
			r.Body = []byte(value)
			return nil
		}
		body, err := sjson.SetBytes(r.Body, name, value)
		if err != nil {
			return fmt.Errorf("the body has no place for %s", l)
		}
		r.Body = body
	default:
		return l.putFormJSON(r, value)
	}
	return nil
}

func (l *signatureLine) putFormJSON(r *Request, value string) error {
	field, path, err := splitFormJSON(l.source.Name)
	if err != nil {
		return err
	}
	v := readForm(r.Body, field)
	if !isForm(r) || !v.Found || v.Repeated {
		return fmt.Errorf("the request needs a form with a field %s for %s", field, l)
	}
	text, err := sjson.Set(v.Text, path, value)
	if err != nil {
		return fmt.Errorf("form %s has no place for %s", field, l)
	}
	r.Body = []byte(setForm(string(r.Body), field, text))
	return nil
}

// setForm puts a field into a form or query in place of one that is there.
func setForm(text, name, value string) string {
	var pairs []string
	for pair := range strings.SplitSeq(text, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if pair != "" && !isFormKey([]byte(key), name) {
			pairs = append(pairs, pair)
		}
	}
	return strings.Join(append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(value)), "&")
}
