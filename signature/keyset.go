package signature

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/tidwall/gjson"
)

// maxSetKeys bounds the keys of one set. Senders publish two or three, and a signature
// that names none is tried with each.
const maxSetKeys = 32

// maxKeyID bounds the ID of a key, in bytes.
const (
	maxKeyID        = 128
	keyIDCharacters = "letters, digits and . _ ~ : = + @ -"
)

var errNoPublicKeys = errors.New("the sender signs with a shared secret, which is in no set of public keys")

// NewKeySet reads the set of public keys that a sender publishes (JWKS, RFC 7517). What
// the scheme cannot verify with is passed over, as section 5 of the RFC says: keys for
// something else, of another type or curve, private ones, and those that are too weak.
// A set without any other key is an error.
func NewKeySet(s *Scheme, document []byte) ([]Secret, error) {
	if !s.Asymmetric() {
		return nil, errNoPublicKeys
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil || set.Keys == nil {
		return nil, errors.New("it is not a set of keys (JWKS): a JSON object with a list keys")
	}
	return usableKeys(set.Keys, func(raw json.RawMessage) (Secret, error) { return newSetKey(s, raw) })
}

// KeyList says where the keys of a list are that is no JWKS.
type KeyList struct {
	// List is the path of the list. ID and Key are those of a key's ID and of the key itself
	// in an element of it.
	List string `json:"list,omitempty"`
	ID   string `json:"id,omitempty"`
	Key  string `json:"key,omitempty"`
}

// NewKeyList reads a list of public keys that a sender publishes in a shape of its own.
// Keys are written as [NewPublicKey] reads them. What cannot be used is passed over, as in
// a JWKS.
func NewKeyList(s *Scheme, at KeyList, document []byte) ([]Secret, error) {
	if !s.Asymmetric() {
		return nil, errNoPublicKeys
	}
	list := findJSON(document, at.List)
	if !json.Valid(document) || !list.IsArray() {
		return nil, fmt.Errorf("it has no list of keys at %s", at.List)
	}
	return usableKeys(list.Array(), func(element gjson.Result) (Secret, error) {
		raw := []byte(element.Raw)
		id, text := jsonValue(raw, at.ID), jsonValue(raw, at.Key)
		switch {
		case id.Bad || !isKeyID(id.Text):
			return Secret{}, errors.New("it has no ID, or one with other characters than " + keyIDCharacters)
		case text.Bad || !text.Found:
			return Secret{}, fmt.Errorf("it has no text at %s", at.Key)
		}
		key, err := NewPublicKey(text.Text)
		if err != nil {
			return Secret{}, err
		}
		return Secret{Key: key, ID: id.Text}, checkKey(s.lines, key)
	})
}

// NewAnsweredKey reads the one key in an answer of a sender's API, at a path of it: a JSON
// Web Key, or a text as [NewPublicKey] reads it. id is the one that was asked for. A JSON Web
// Key may say when it has expired, as Plaid's do.
func NewAnsweredKey(s *Scheme, path, id string, document []byte) (Secret, error) {
	if !s.Asymmetric() {
		return Secret{}, errNoPublicKeys
	}
	found := findJSON(document, path)
	switch {
	case !json.Valid(document):
		return Secret{}, errors.New("the answer is not JSON")
	case found.IsObject():
		return newAnsweredJWK(s, id, found)
	case found.Type != gjson.String:
		return Secret{}, fmt.Errorf("the answer has no key at %s", path)
	}
	key, err := NewPublicKey(found.Str)
	if err != nil {
		return Secret{}, err
	}
	return Secret{Key: key, ID: id}, checkKey(s.lines, key)
}

func newAnsweredJWK(s *Scheme, id string, jwk gjson.Result) (Secret, error) {
	secret, err := newSetKey(s, json.RawMessage(jwk.Raw))
	if err != nil {
		return Secret{}, fmt.Errorf("the key in the answer: %w", err)
	}
	if secret.ID != "" && secret.ID != id {
		return Secret{}, errors.New("the answer has another key than the one that was asked for")
	}
	secret.ID = id
	if ended := jwk.Get("expired_at"); ended.Exists() && ended.Type != gjson.Null {
		if secret.Until, err = ParseStamp(ended.Raw, formatUnix); err != nil || ended.Type != gjson.Number {
			return Secret{}, errors.New("the key in the answer has an expired_at that is no number of seconds")
		}
	}
	return secret, nil
}

// usableKeys are those that can be read. There has to be one.
func usableKeys[T any](list []T, read func(T) (Secret, error)) ([]Secret, error) {
	if len(list) > maxSetKeys {
		return nil, fmt.Errorf("the set has %d keys, and %d is the limit", len(list), maxSetKeys)
	}
	var usable []Secret
	var problem error
	for _, one := range list {
		secret, err := read(one)
		if err != nil {
			problem = err
			continue
		}
		usable = append(usable, secret)
	}
	switch {
	case len(usable) > 0:
		return usable, nil
	case problem != nil:
		return nil, fmt.Errorf("none of the %d keys in the set can be used, the last one as %w", len(list), problem)
	}
	return nil, errors.New("the set has no keys")
}

// newSetKey reads one key of a set.
func newSetKey(s *Scheme, raw json.RawMessage) (Secret, error) {
	var jwk jose.JSONWebKey
	switch err := json.Unmarshal(raw, &jwk); {
	case err != nil:
		return Secret{}, errors.New("it cannot be read") // the library quotes what it rejects
	case !jwk.IsPublic():
		return Secret{}, errors.New("it is not a public key")
	case jwk.Use != "" && jwk.Use != "sig":
		return Secret{}, errors.New("it is not for signatures")
	case jwk.KeyID != "" && !isKeyID(jwk.KeyID):
		return Secret{}, errors.New("its ID (kid) has other characters than " + keyIDCharacters)
	}
	key, err := publicKeyOf(jwk.Key)
	if err != nil {
		return Secret{}, err
	}
	// One line has to take it, and none can take it for another: the algorithm of a
	// signature is the line's, and each checks the key's type again.
	for i := range s.lines {
		l := &s.lines[i]
		if jwk.Algorithm != "" && !l.algorithm.isCalled(jwk.Algorithm) {
			err = errors.New("it is for another algorithm")
			continue
		}
		if err = l.checkKey(key); err == nil {
			return Secret{Key: key, ID: jwk.KeyID}, nil
		}
	}
	return Secret{}, err
}

// isCalled reports whether a key's alg is this algorithm. RFC 9864 gives EdDSA a second
// name.
func (a algorithm) isCalled(alg string) bool {
	return alg == algorithms[a].jwt || alg == "Ed25519" && a.String() == nameEd25519
}

// isKeyID reports whether a text can be the ID of a key. It has no character that means
// something in a path, a query or a log.
func isKeyID(text string) bool {
	for _, c := range []byte(text) {
		switch {
		case isAlphanumeric(c):
		case c == '.', c == '_', c == '~', c == ':', c == '=', c == '+', c == '@', c == '-':
		default:
			return false
		}
	}
	return text != "" && len(text) <= maxKeyID
}

// is reports whether a signature that names this key can be the secret's. Secrets without
// an ID are tried with each, and so is each key where a signature names none.
func (s *Secret) is(keyID string) bool {
	return s.ID == "" || keyID == "" || s.ID == keyID
}
