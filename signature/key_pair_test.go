package signature

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// A key pair signs what the scheme verifies with the set that the pair is published in.
func TestKeyPairs(t *testing.T) {
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, algorithm := range []string{nameEd25519, nameECDSA, nameRSA256, nameRSA512, nameRSAPSS} {
		for _, named := range []string{"", namedJWT} {
			scheme, err := Compile(Spec{Named: named, Signatures: []SignatureSpec{{Header: "X-Sig", Algorithm: algorithm}}})
			if err != nil {
				t.Fatal(err)
			}
			pair, err := NewKeyPair(scheme)
			if err != nil {
				t.Fatal(err)
			}
			set, err := PublicSet(pair)
			if err != nil {
				t.Fatal(err)
			}
			secrets, err := NewKeySet(scheme, set)
			if err != nil || len(secrets) != 1 || secrets[0].ID != NameOf(pair) {
				t.Fatalf("%s: the set %s: %v", algorithm, set, err)
			}
			text, err := PublicPEM(pair)
			if err != nil {
				t.Fatal(err)
			}
			if public, err := NewPublicKey(text); err != nil || NameOf(public) != NameOf(pair) {
				t.Errorf("%s: the public key %s: %v", algorithm, text, err)
			}
			if strings.Contains(string(set), `"d"`) {
				t.Errorf("%s: the set holds a private key", algorithm)
			}
			r := &Request{Method: "POST", Body: []byte("{}")}
			if err := scheme.Sign(r, pair, at, "1"); err != nil {
				t.Fatal(err)
			}
			if _, err := scheme.Verify(r, secrets, Window{}, at); err != nil {
				t.Errorf("%s: %v", algorithm, err)
			}
			if named == namedJWT {
				head, _, _ := strings.Cut(r.Header["X-Sig"][0], ".")
				if text, err := base64.RawURLEncoding.DecodeString(head); err != nil || !strings.Contains(string(text), `"kid":"`+NameOf(pair)+`"`) {
					t.Errorf("%s: the token's header is %s", algorithm, text)
				}
			}
			other, err := AnotherKey(pair)
			if err == nil {
				err = scheme.Sign(r, other, at, "1")
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := scheme.Verify(r, secrets, Window{}, at); err == nil {
				t.Errorf("%s: another key that passes for it is accepted", algorithm)
			}
		}
	}
	scheme, err := Compile(Spec{Signatures: []SignatureSpec{{Header: "X-Sig", Algorithm: "sha256"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewKeyPair(scheme); err == nil {
		t.Error("a shared secret has a key pair")
	}
}

// The name of a key is its thumbprint: the example of RFC 7638, section 3.1.
func TestNamesOfKeys(t *testing.T) {
	const n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs" +
		"tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-" +
		"bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	scheme, err := Compile(Spec{Named: namedJWT, Signatures: []SignatureSpec{{Header: "X-Sig", Algorithm: nameRSA256}}})
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := NewKeySet(scheme, []byte(`{"keys":[{"kty":"RSA","n":"`+n+`","e":"AQAB"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := secrets[0].Key.name(); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("the name is %q", got)
	}
}
