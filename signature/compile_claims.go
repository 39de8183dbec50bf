package signature

import (
	"errors"
	"fmt"
)

func (s *Scheme) compileClaims() error {
	if s.spec.Named != namedJWT {
		if len(s.spec.Claims) > 0 {
			return errors.New("claim: there are claims in tokens only, so this needs the line scheme jwt")
		}
		return nil
	}
	if len(s.lines) == 0 {
		return errors.New("scheme: jwt needs a signature line that says where the token is")
	}
	if len(s.spec.SignedFunctions) > 0 {
		return errors.New("signed: the scheme jwt has its own content, so remove this line")
	}
	for _, spec := range s.spec.Claims {
		t, err := ParseTemplate(spec.Template)
		if err == nil {
			_, err = splitPath(spec.Name)
		}
		if err == nil {
			err = s.checkTemplate(t)
		}
		if err != nil {
			return fmt.Errorf("claim: %s: %w", spec.Name, err)
		}
		s.claims = append(s.claims, &claim{templateContent{Template: t, params: s.spec.Params}, spec.Name, spec.Optional})
		s.fields = append(s.fields, t.signedFields()...)
		s.signsTimestamp = s.signsTimestamp || t.uses(varTimestamp)
		s.signsID = s.signsID || t.uses(varID)
	}
	return nil
}
