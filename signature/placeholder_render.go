package signature

import (
	"bytes"
	"crypto/sha256"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// env is what placeholders are written from.
type env struct {
	r      *Request
	parts  *Parts
	params map[string]string
	secret []byte
}

// append renders the placeholder for one request. What it adds to dst is a
// copy, so the caller's buffer can be used again.
func (ph *placeholder) append(dst []byte, e *env) ([]byte, error) {
	start := len(dst)
	funcs := ph.funcs
	switch {
	// The usual cases for large bodies: hash without a copy.
	case ph.variable == varBody && len(funcs) > 0 && funcs[0] == "sha256":
		sum := sha256.Sum256(e.r.Body)
		dst, funcs = append(dst, sum[:]...), funcs[1:]
	case ph.variable == varBody && len(funcs) > 0 && funcs[0] == functionCRC32:
		dst, funcs = strconv.AppendUint(dst, uint64(crc32.ChecksumIEEE(e.r.Body)), 10), funcs[1:]
	default:
		var err error
		if dst, err = ph.appendValue(dst, e); err != nil {
			return dst, err
		}
		if len(dst) == start && !ph.mayBeEmpty() {
			return dst, refuse(SignatureMalformed, "the request has no %s, which is signed", ph)
		}
		if slices.Contains(funcs, functionLine) && bytes.ContainsAny(dst[start:], "\r\n") {
			return dst, refuse(SignatureMalformed, "%s has several lines", ph)
		}
	}
	for _, f := range funcs {
		dst = functions[f](dst, start)
	}
	return dst, nil
}

// mayBeEmpty reports whether an empty value is accepted. A request without a body or a
// query is complete. An empty header or field is treated as missing, since an attacker
// may have removed it, unless the template calls it "optional".
func (ph *placeholder) mayBeEmpty() bool {
	switch ph.variable {
	case varBody, varPath, varQuery, varURI, varFormSorted:
		return true
	}
	return slices.Contains(ph.funcs, optional)
}

func (ph *placeholder) appendValue(dst []byte, e *env) ([]byte, error) {
	r := e.r
	switch ph.variable {
	case varBody:
		return append(dst, r.Body...), nil
	case varTimestamp:
		// Never the parsed number: "01700000000" and "1700000000" are the same
		// time in two texts, and the sender signed one of the texts.
		return append(dst, e.parts.Timestamp...), nil
	case varID:
		return append(dst, e.parts.ID...), nil
	case varNonce:
		return append(dst, e.parts.Nonce...), nil
	case varMethod:
		return append(dst, r.Method...), nil
	case varScheme:
		return append(dst, r.Scheme...), nil
	case varHost:
		return r.appendHost(dst), nil
	case varPath:
		return append(dst, r.Path...), nil
	case varQuery:
		return append(dst, r.Query...), nil
	case varURI:
		return r.appendURI(dst), nil
	case varURL:
		if r.Scheme == "" || r.Host == "" {
			return dst, nil // refused as missing
		}
		return r.appendURL(dst), nil
	case varParam:
		return append(dst, e.params[ph.name]...), nil
	case varSecret:
		return append(dst, e.secret...), nil
	case varBodyPath, varFormJSON:
		return ph.appendJSON(dst, r)
	case varFormSorted:
		return appendFormSorted(dst, r)
	}
	return ph.appendSource(dst, r)
}

// appendJSON renders a value of the body, objects and booleans as they were sent.
// Exact Online signs a member of the body, Paymob signs true and false.
func (ph *placeholder) appendJSON(dst []byte, r *Request) ([]byte, error) {
	body, path := r.Body, ph.name
	if ph.variable == varFormJSON {
		field, rest, err := placeOfJSON(r, ph.name)
		if err != nil {
			return dst, err
		}
		v := readFormBody(r, field)
		if v.Repeated || v.Bad {
			return dst, refuse(SignatureMalformed, "form %s is signed and cannot be read", field)
		}
		body, path = []byte(v.Text), rest
	}
	if ph.each {
		return ph.appendEach(dst, body, splitUnescaped(path, '.'))
	}
	text, _ := readJSON(body, path)
	return append(dst, text...), nil
}

// appendEach writes the values that a path with stars names: how many elements
// the list has, and each value after its length. So ["ab"] and ["a","b"] are
// two texts. An empty list writes nothing and counts as missing.
func (ph placeholder) appendEach(dst, body []byte, path []string) ([]byte, error) {
	star := slices.Index(path, "*")
	if star < 0 {
		text, kind := readJSON(body, strings.Join(path, "."))
		if kind == jsonMissing && !slices.Contains(ph.funcs, optional) {
			return dst, refuse(SignatureMalformed, "an element of %s has no such value", ph)
		}
		return append(dst, text...), nil
	}
	list := gjson.ParseBytes(body)
	if star > 0 {
		text, kind := readJSON(body, strings.Join(path[:star], "."))
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
			text = []byte(textOf(element))
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

// appendSource renders what may be sent more than once. That is refused, since the
// sender signed one of them and the app might read the other.
func (ph *placeholder) appendSource(dst []byte, r *Request) ([]byte, error) {
	s := Source{Kind: SourceHeader, Name: ph.name}
	switch ph.variable {
	case varFormField:
		s.Kind = SourceForm
	case varQueryKey:
		s.Kind = SourceQuery
	}
	v := s.read(r, "")
	if v.Repeated {
		return dst, refuse(SignatureMalformed, "%s is signed and was sent more than once", ph)
	}
	if v.Bad {
		return dst, refuse(SignatureMalformed, "%s is signed and cannot be read", ph)
	}
	return append(dst, v.Text...), nil
}
