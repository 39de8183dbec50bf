package signature

import (
	"crypto/hmac"
	"encoding/json"
)

// checkMatched checks what requires that the sender signed the bytes.
func checkMatched(s *Scheme, r *Request, p *Parts) error {
	if err := checkClaims(s.claims, r, p); err != nil {
		return err
	}
	return checkFields(s.fields, r)
}

// checkClaims compares the claims of a token whose signature holds with what
// the request is.
func checkClaims(claims []*claim, r *Request, p *Parts) error {
	for _, c := range claims {
		text, kind := readJSON([]byte(p.claims), c.name)
		if kind == jsonMissing {
			// MessageBird omits the digest of an empty body. With a body it is
			// required.
			if c.optional || len(r.Body) == 0 && c.readsBody() {
				continue
			}
			return refuse(SignatureMalformed, "the token has no claim %s", c.name)
		}
		want, err := c.Append(nil, r, *p, c.params)
		if err != nil {
			return err
		}
		if kind == jsonNested || !hmac.Equal(want, []byte(text)) {
			return refuse(SignatureInvalid, "claim %s is not that of this request", c.name)
		}
	}
	return nil
}

// checkFields checks a request of which only some fields are signed, once they are
// verified. With a second "id", or JSON that parsers read in different ways, the app
// could read something that the guard did not see.
func checkFields(fields []Source, r *Request) error {
	body := ""
	for _, f := range fields {
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
