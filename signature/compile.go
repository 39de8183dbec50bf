package signature

// Compile checks a spec and makes it a Scheme, which does not change afterwards.
// Its errors begin with the line of a configuration that they are about
// (signature, signed, items, claim, scheme, timestamp, event_time, id,
// secret_encoding).
func Compile(spec Spec) (*Scheme, error) {
	c := &compiler{spec: spec, scheme: &Scheme{spec: spec}}
	for _, step := range []func() error{
		c.sources, c.signatures, c.items, c.signed, c.claims,
		c.secretEncoding, c.formatParts, c.unsigned,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	c.scheme.url = urlUseOf(c.scheme)
	return c.scheme, nil
}
