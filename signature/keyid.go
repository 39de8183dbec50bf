package signature

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// compileKeyID checks where a request names the key that signed it.
func compileKeyID(c *compiler) error {
	source := c.spec.KeyID
	switch {
	case source == (Source{}) && c.spec.KeyByID && c.spec.Named != namedJWT:
		return errors.New("keys: the API gives one key for its ID: say where a request has that, key_id <source>")
	case source == (Source{}):
		return nil
	case c.spec.Named == namedJWT:
		return errors.New("key_id: a token names its key itself (kid), so remove this line")
	case !c.scheme.Asymmetric():
		return errors.New("key_id: nothing is verified with a public key, so no key has an ID")
	}
	switch source.Kind {
	case SourceHeader, SourceHeaderJSON, SourceQuery:
	default:
		return fmt.Errorf("key_id: %q is no place of a key's ID: use header <name>, header_json <name>.<path> or query <key>", source)
	}
	if err := source.Check(); err != nil {
		return fmt.Errorf("key_id: %w", err)
	}
	for i := range c.scheme.lines {
		c.scheme.lines[i].keyID = source.canonical()
	}
	return nil
}

// readKeyName reads which key a request names, if it names one. The name is not verified:
// it only chooses among the sender's own keys.
func readKeyName(source Source, r *Request) (id, problem string) {
	switch v := source.read(r, ""); {
	case v.Repeated || v.Bad || v.Found && !isKeyID(v.Text):
		return "", fmt.Sprintf("names a key by %s, which is not the ID of one", source)
	default:
		return v.Text, ""
	}
}

// name is what [Scheme.Sign] calls a key: its thumbprint (RFC 7638), or what it passes for.
// Senders have names of their own, which no key tells.
func (k *Key) name() string {
	if k.called != "" || k.public == nil {
		return k.called
	}
	sum, err := (&jose.JSONWebKey{Key: k.public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// putKeyName names the key in a request that does not name one.
func putKeyName(source Source, r *Request, key *Key) error {
	if source == (Source{}) || source.read(r, "").Found {
		return nil
	}
	switch name := key.name(); source.Kind {
	case SourceHeader:
		r.Header[source.Name] = []string{name}
	case SourceHeaderJSON:
		return putHeaderJSON(r, source.Name, name)
	case SourceQuery:
		r.Query = setForm(r.Query, source.Name, name)
	}
	return nil
}
