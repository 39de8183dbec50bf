package signature

import (
	"bytes"
	"crypto/hmac"
)

// checkClaims compares the claims of a token whose signature holds with what
// the request is.
func checkClaims(claims []*claim, r *Request, p *Parts) error {
	for _, c := range claims {
		found := false
		for _, name := range c.names {
			text, kind := readJSON([]byte(p.claims), name)
			if kind == jsonMissing {
				continue
			}
			found = true
			if !uniqueJSON(p.claims, name) {
				return refuse(SignatureMalformed, "the token has the claim %s more than once", name)
			}
			switch ok, err := c.allows(text, r, p); {
			case err != nil:
				return err
			case !ok || kind == jsonNested:
				return refuse(SignatureInvalid, "claim %s is not that of this request", name)
			}
		}
		// A token of the same key that was made for another purpose has no digest, so
		// one without it is accepted only where the line says so.
		if !found && !c.mayBeMissing(r, p) {
			return refuse(SignatureMalformed, "the token has no claim %s", c.spec.Name)
		}
	}
	return nil
}

// allows reports whether a claim's text is one of the values that it may have.
func (c *claim) allows(text string, r *Request, p *Parts) (bool, error) {
	if err := c.checkBounds(r, p); err != nil {
		return false, err
	}
	want, err := c.Append(nil, r, *p, c.params)
	if err != nil {
		return false, err
	}
	if c.spec.Prefix || c.spec.NotPrefix {
		return bytes.HasPrefix([]byte(text), want) == c.spec.Prefix, nil
	}
	ok := hmac.Equal(want, []byte(text))
	for i := range c.others {
		if want, err = c.others[i].Append(want[:0], r, *p, c.params); err != nil {
			return false, err
		}
		ok = hmac.Equal(want, []byte(text)) || ok
	}
	return ok, nil
}

// mayBeMissing reports whether a token without the claim is accepted.
func (c *claim) mayBeMissing(r *Request, p *Parts) bool {
	if c.spec.Unless != "" {
		_, kind := readJSON([]byte(p.claims), c.spec.Unless)
		return kind != jsonMissing
	}
	return c.optional || c.spec.WithBody && len(r.Body) == 0
}
