package signature

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// secretEncoding checks how secrets are written.
func (c *compiler) secretEncoding() error {
	switch c.spec.SecretEncoding {
	case "", "raw", "base64", "hex", "sha1", "nfkd":
	default:
		return fmt.Errorf("secret_encoding: unknown encoding %q: use %s", c.spec.SecretEncoding, secretEncodings)
	}
	if c.scheme.Asymmetric() && c.spec.SecretEncoding+c.spec.SecretPrefix != "" {
		return errors.New("secret_encoding: a public key says itself how it is written, so remove this line")
	}
	return nil
}

// formatParts checks that the formats have the parts that other lines read.
func (c *compiler) formatParts() error {
	for i := range c.scheme.lines {
		l := &c.scheme.lines[i]
		if t := c.spec.Timestamp; t != nil && t.Source.Kind == SourceSignature && !l.format.has(varTimestamp) {
			return fmt.Errorf("timestamp: the format of signature %s has no {timestamp}", l.written())
		}
		for _, id := range c.spec.ID {
			if id.Kind == SourceSignature && !l.format.has(varID) {
				return fmt.Errorf("id: the format of signature %s has no {id}", l.written())
			}
		}
		for _, signed := range c.scheme.signed {
			if signed.uses(varNonce) && !l.format.has(varNonce) {
				return fmt.Errorf("signed: {nonce} needs a {nonce} in the format of signature %s", l.written())
			}
		}
	}
	return nil
}

// unsigned refuses sources that need a signature where there is none,
// and an event time that anyone could set.
func (c *compiler) unsigned() error {
	if len(c.scheme.lines) == 0 {
		for _, id := range c.spec.ID {
			if id.Kind == SourceSignature {
				return errors.New("id: there is no signature line to read it from")
			}
		}
		if t := c.spec.Timestamp; t != nil && t.Source.Kind == SourceSignature {
			return errors.New("timestamp: there is no signature line to read it from")
		}
	}
	e := c.spec.EventTime
	switch {
	case e == nil:
		return nil
	case e.Source.Kind == SourceSignature:
		return errors.New("event_time: the signature header holds no event time")
	case len(c.scheme.lines) > 0 && !Holds(c.scheme, e.Source):
		// Anyone could set it to the present and replay the request.
		return fmt.Errorf("event_time: %s is not under the signature, so it proves nothing", e.Source)
	}
	return nil
}

// checkForeign checks what tells a sender's own requests, and this user's, from those of
// others.
func checkForeign(s *Scheme) error {
	if err := checkKeyName(s.spec.KeyName); err != nil {
		return err
	}
	return checkAllowLines(s)
}

// checkKeyName checks where requests name their key.
func checkKeyName(source Source) error {
	switch {
	case source == Source{}:
		return nil
	case source.Kind == SourceHeader, source.Kind == SourceQuery, source.Kind == SourceBody:
		if err := source.Check(); err != nil {
			return fmt.Errorf("keys: %w", err)
		}
		return nil
	}
	return fmt.Errorf("keys: a request names its key in header <name>, query <key> or body <path>, not in %s", source)
}

// checkAllowLines checks the values that have to be the user's own.
func checkAllowLines(s *Scheme) error {
	for _, allowed := range s.spec.Allowed {
		switch {
		case len(allowed.Values) == 0:
			return fmt.Errorf("allow: the sender signs for all its customers with one key: name the values that are yours, allow %s <value>…", allowed.Source)
		case !s.Covers(allowed.Source):
			return fmt.Errorf("allow: %s is not under the signature, so anyone could write what is allowed", allowed.Source)
		case slices.Contains(allowed.Values, ""):
			return fmt.Errorf("allow: a value of %s is empty", allowed.Source)
		case slices.ContainsFunc(allowed.Values, func(value string) bool { return strings.Contains(value, "*") }):
			return fmt.Errorf("allow: a * in a value of %s stands for nothing: values are compared as a whole, so name each", allowed.Source)
		}
	}
	return nil
}
