package signature

import (
	"errors"
	"fmt"
	"slices"
)

// claims compiles the claims that a token must have.
func (c *compiler) claims() error {
	if c.spec.Named != namedJWT {
		if len(c.spec.Claims) > 0 {
			return errors.New("claim: there are claims in tokens only, so this needs the line scheme jwt")
		}
		return nil
	}
	if len(c.scheme.lines) == 0 {
		return errors.New("scheme: jwt needs a signature line that says where the token is")
	}
	if len(c.spec.SignedFunctions) > 0 {
		return errors.New("signed: the scheme jwt has its own content, so remove this line")
	}
	for i, spec := range c.spec.Claims {
		t, err := ParseTemplate(spec.Template)
		if err == nil {
			_, err = splitPath(spec.Name)
		}
		if err == nil {
			err = checkClaim(spec, t, c.spec.Claims[:i])
		}
		if err == nil {
			err = c.checkTemplate(t)
		}
		if err != nil {
			return fmt.Errorf("claim: %s: %w", spec.Name, err)
		}
		c.scheme.claims = append(c.scheme.claims, &claim{c.content(t), spec.Name, spec.Optional, spec.WithBody})
	}
	return nil
}

// checkClaim refuses a claim line that says nothing, or contradicts itself or another.
func checkClaim(spec Claim, t *Template, before []Claim) error {
	switch {
	case slices.ContainsFunc(before, func(other Claim) bool { return other.Name == spec.Name }):
		return errors.New("is there twice, and one value cannot equal two: leave one line out")
	case spec.Optional && spec.WithBody:
		return errors.New("is either optional or needed with_body, not both: with_body is the safer one")
	case spec.WithBody && !t.readsBody():
		return errors.New("with_body is for a digest of the body, which this template does not hold: leave the word out")
	}
	return nil
}
