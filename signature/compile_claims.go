package signature

import (
	"errors"
	"fmt"
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
	for _, spec := range c.spec.Claims {
		t, err := ParseTemplate(spec.Template)
		if err == nil {
			_, err = splitPath(spec.Name)
		}
		if err == nil {
			err = c.checkTemplate(t)
		}
		if err != nil {
			return fmt.Errorf("claim: %s: %w", spec.Name, err)
		}
		c.scheme.claims = append(c.scheme.claims, &claim{c.content(t), spec.Name, spec.Optional})
	}
	return nil
}
