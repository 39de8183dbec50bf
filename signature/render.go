package signature

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"slices"
)

// optional is a function that changes nothing in a value, but allows it to be
// absent: Adyen signs an empty text for a field that its event does not have.
const optional = "optional"

// functions work on the end of dst, from start on.
var functions = map[string]func(dst []byte, start int) []byte{
	"sha256":            appendSHA256,
	"hex":               appendHex,
	"base64":            appendBase64,
	"lower":             appendLower,
	"unescape_reserved": unescapeReserved,
	"php_json":          phpJSON,
	optional:            func(dst []byte, _ int) []byte { return dst },
}

const (
	wholeFunctionList = "sha256 hex base64 lower unescape_reserved php_json"
	functionList      = wholeFunctionList + " " + optional
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
	if ph.variable == varBody && len(funcs) > 0 && funcs[0] == "sha256" {
		// The usual case for big bodies: hash it where it is.
		sum := sha256.Sum256(e.r.Body)
		dst, funcs = append(dst, sum[:]...), funcs[1:]
	} else {
		var err error
		if dst, err = ph.appendValue(dst, e); err != nil {
			return dst, err
		}
		if len(dst) == start && !ph.mayBeEmpty() {
			return dst, refuse(SignatureMalformed, "the request has no %s, which is signed", ph)
		}
	}
	for _, f := range funcs {
		dst = functions[f](dst, start)
	}
	return dst, nil
}

// mayBeEmpty: a request without a body or a query is a whole request. An
// empty header or field is not told from a missing one, and a sender that
// signs one is told from an attacker that dropped it only by "optional".
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
		// Never the parsed number: "01700000000" and "1700000000" are one
		// time and two texts, and the sender signed one of them.
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
		return append(dst, r.Host...), nil
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

// appendJSON renders a value of the body. Objects and booleans too, as they
// were written: Exact Online signs a member of the body, Paymob signs true and
// false.
func (ph *placeholder) appendJSON(dst []byte, r *Request) ([]byte, error) {
	body, path := r.Body, ph.name
	if ph.variable == varFormJSON {
		field, rest, err := splitFormJSON(ph.name)
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

// appendSource renders what can be there several times. The sender meant one
// of them, and the app might read the other.
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

func newSHA256() hash.Hash { return sha256.New() }

func appendSHA256(dst []byte, start int) []byte {
	sum := sha256.Sum256(dst[start:])
	return append(dst[:start], sum[:]...)
}

func appendHex(dst []byte, start int) []byte {
	return moveDown(hex.AppendEncode(dst, dst[start:]), start, len(dst))
}

func appendBase64(dst []byte, start int) []byte {
	return moveDown(base64.StdEncoding.AppendEncode(dst, dst[start:]), start, len(dst))
}

// moveDown puts what is from middle on in the place of what is from start on: no
// encoder promises to work in place, and a copy costs less than an allocation.
func moveDown(dst []byte, start, middle int) []byte {
	return append(dst[:start], dst[middle:]...)
}

func appendLower(dst []byte, start int) []byte {
	for i, c := range dst[start:] {
		if c >= 'A' && c <= 'Z' {
			dst[start+i] = c | 0x20
		}
	}
	return dst
}

// reserved are the characters whose escapes HubSpot decodes in the URL before
// it signs it: the table in "Validate the v3 request signature",
// https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
const reserved = ":/?@!$'()*,;"

func unescapeReserved(dst []byte, start int) []byte {
	out := dst[:start]
	for i := start; i < len(dst); i++ {
		if dst[i] == '%' && i+2 < len(dst) {
			var c [1]byte
			_, err := hex.Decode(c[:], dst[i+1:i+3])
			if err == nil && bytes.IndexByte([]byte(reserved), c[0]) >= 0 {
				out = append(out, c[0])
				i += 2
				continue
			}
		}
		out = append(out, dst[i])
	}
	return out
}
