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
		compiled, err := compileClaim(c, spec, c.spec.Claims[:i])
		if err != nil {
			return fmt.Errorf("claim: %s: %w", spec.Name, err)
		}
		c.scheme.claims = append(c.scheme.claims, compiled)
	}
	return nil
}

// compileClaim compiles one claim. Those of the lines before it are not compared again.
func compileClaim(c *compiler, spec Claim, before []Claim) (*claim, error) {
	compiled := &claim{
		spec: spec, names: append([]string{spec.Name}, spec.Or...),
		optional: spec.Optional || spec.Prefix || spec.NotPrefix || spec.Unless != "",
	}
	if spec.Unless != "" {
		if _, err := splitPath(spec.Unless); err != nil {
			return nil, err
		}
	}
	for _, name := range compiled.names {
		if _, err := splitPath(name); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(before, func(other Claim) bool { return other.Name == name || slices.Contains(other.Or, name) }) {
			return nil, errors.New("is there twice, and one value cannot equal two: leave one line out")
		}
	}
	for i, text := range append([]string{spec.Template}, spec.OrTemplate...) {
		t, err := ParseTemplate(text)
		if err == nil {
			err = checkClaim(spec, t)
		}
		if err == nil {
			err = c.checkTemplate(t)
		}
		if err != nil {
			return nil, err
		}
		if i == 0 {
			compiled.templateContent = c.content(t)
		} else {
			compiled.others = append(compiled.others, c.content(t))
		}
	}
	return compiled, nil
}

// checkClaim refuses a claim line that says nothing, or contradicts itself.
func checkClaim(spec Claim, t *Template) error {
	words := 0
	for _, word := range []bool{spec.Optional, spec.WithBody, spec.Unless != "", spec.Prefix, spec.NotPrefix} {
		if word {
			words++
		}
	}
	varies := t.hasPlaceholder(func(ph placeholder) bool { return ph.variable != varParam })
	switch {
	case words > 1:
		return errors.New("is one of optional, with_body, unless, prefix and not_prefix, not two of them: with_body is the safest one")
	case spec.WithBody && !t.readsBody():
		return errors.New("with_body is for a digest of the body, which this template does not hold: leave the word out")
	case varies && len(spec.OrTemplate) > 0, varies && (spec.Prefix || spec.NotPrefix):
		return errors.New("a value that is one of several, or the beginning of another, cannot hold a part of the request")
	}
	return nil
}
