package signature

// compiler makes a Scheme of a Spec in ordered steps. Each step may rely on
// what those before it have checked. After the last step nothing writes to the
// scheme.
type compiler struct {
	spec   Spec
	scheme *Scheme
}

// Compile checks a spec and makes it a Scheme, which does not change afterwards.
// Its errors begin with the line of a configuration that they are about
// (signature, signed, items, claim, scheme, timestamp, event_time, id, key_id,
// secret_encoding, keys, allow).
func Compile(spec Spec) (*Scheme, error) {
	c := &compiler{spec: spec, scheme: &Scheme{spec: spec}}
	for _, step := range []func() error{
		c.sources, c.signatures, c.items, c.signed, c.claims,
		c.secretEncoding, c.formatParts, c.unsigned, func() error { return compileKeyID(c) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	if err := checkForeign(c.scheme); err != nil {
		return nil, err
	}
	c.scheme.url = urlUseOf(c.scheme)
	return c.scheme, nil
}
