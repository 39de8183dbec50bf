package signature

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"crypto"
	"crypto/sha256"
)

// jwkOf writes a public key as RFC 7517 and RFC 8037 say, with other names set.
func jwkOf(public crypto.PublicKey, more ...string) map[string]string {
	encode := base64.RawURLEncoding.EncodeToString
	jwk := map[string]string{}
	switch key := public.(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", encode(key.N.Bytes()), encode(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PublicKey:
		point, _ := key.Bytes()
		half := len(point) / 2
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", key.Params().Name, encode(point[1:1+half]), encode(point[1+half:])
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", encode(key)
	}
	for i := 0; i < len(more); i += 2 {
		if jwk[more[i]] = more[i+1]; more[i+1] == "" {
			delete(jwk, more[i])
		}
	}
	return jwk
}

func setOf(keys ...map[string]string) []byte {
	document, _ := json.Marshal(map[string]any{"keys": keys})
	return document
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func tokens(t *testing.T, algorithm string) *Scheme {
	t.Helper()
	return mustCompile(t, Spec{Named: "jwt", KeySet: true, Signatures: []SignatureSpec{{Header: "X-Token", Algorithm: algorithm}}})
}

// Of a set the keys are taken that the scheme can verify with, and no other.
func TestNewKeySet(t *testing.T) {
	rsa2048, ec, ed := rsaKey(t, 2048), ecKey(t, elliptic.P256()), ed25519.NewKeyFromSeed(make([]byte, 32))
	private := base64.RawURLEncoding.EncodeToString(ed.Seed())
	for name, key := range map[string]struct {
		jwk  map[string]string
		want string // the algorithms that can be verified with it
	}{
		"RSA":                     {jwkOf(rsa2048.Public()), "rsa-sha256 rsa-sha512"},
		"RSA, named":              {jwkOf(rsa2048.Public(), "alg", "RS256", "use", "sig"), "rsa-sha256"},
		"RSA, its other name":     {jwkOf(rsa2048.Public(), "alg", "RS512"), "rsa-sha512"},
		"RSA, for PSS":            {jwkOf(rsa2048.Public(), "alg", "PS256"), ""},
		"RSA, for encryption":     {jwkOf(rsa2048.Public(), "use", "enc"), ""},
		"RSA, an algorithm of it": {jwkOf(rsa2048.Public(), "alg", "RSA-OAEP"), ""},
		"RSA with 1024 bits":      {jwkOf(rsaKey(t, 1024).Public()), ""},
		"RSA with the exponent 1": {jwkOf(rsa2048.Public(), "e", "AQ"), ""},
		"RSA without a modulus":   {jwkOf(rsa2048.Public(), "n", ""), ""},
		"RSA, even":               {jwkOf(&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2048), E: 65537}), ""},
		"P-256":                   {jwkOf(ec.Public()), "ecdsa-sha256"},
		"P-256, named":            {jwkOf(ec.Public(), "alg", "ES256"), "ecdsa-sha256"},
		"P-256, for RSA":          {jwkOf(ec.Public(), "alg", "RS256"), ""},
		"P-384":                   {jwkOf(ecKey(t, elliptic.P384()).Public()), ""},
		"P-521":                   {jwkOf(ecKey(t, elliptic.P521()).Public()), ""},
		"beside the curve":        {jwkOf(ec.Public(), "y", "AQ"), ""},
		"Ed25519":                 {jwkOf(ed.Public()), "ed25519"},
		"Ed25519, named":          {jwkOf(ed.Public(), "alg", "EdDSA"), "ed25519"},
		"Ed25519, named anew":     {jwkOf(ed.Public(), "alg", "Ed25519"), "ed25519"},
		"Ed25519, all zeros":      {jwkOf(ed25519.PublicKey(make([]byte, 32))), ""},
		"Ed25519, too short":      {jwkOf(ed.Public(), "x", "AAAA"), ""},
		"Ed25519, private":        {jwkOf(ed.Public(), "d", private), ""},
		"X25519":                  {jwkOf(ed.Public(), "crv", "X25519"), ""},
		"a shared secret":         {map[string]string{"kty": "oct", "k": private}, ""},
		"a new type":              {map[string]string{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}, ""},
		"no type":                 {jwkOf(ed.Public(), "kty", ""), ""},
		"an ID with a path":       {jwkOf(ed.Public(), "kid", "../a"), ""},
		"an ID that is too long":  {jwkOf(ed.Public(), "kid", strings.Repeat("k", maxKeyID+1)), ""},
		"a good ID":               {jwkOf(ed.Public(), "kid", "2a:e0_4f.~=+@-Z"), "ed25519"},
	} {
		for _, algorithm := range []string{"rsa-sha256", "rsa-sha512", "ecdsa-sha256", "ed25519"} {
			secrets, err := NewKeySet(tokens(t, algorithm), setOf(map[string]string{"kty": "unknown"}, key.jwk))
			wanted := false
			for _, one := range strings.Fields(key.want) {
				wanted = wanted || one == algorithm
			}
			if ok := err == nil && len(secrets) == 1 && secrets[0].ID == key.jwk["kid"]; ok != wanted {
				t.Errorf("%s for %s: %d keys, %v, want one: %t", name, algorithm, len(secrets), err, wanted)
			}
		}
	}
}

func TestDocumentsThatAreNoKeySets(t *testing.T) {
	scheme := tokens(t, "ed25519")
	key := jwkOf(ed25519.NewKeyFromSeed(make([]byte, 32)).Public())
	var many []map[string]string
	for range maxSetKeys + 1 {
		many = append(many, key)
	}
	for name, document := range map[string]string{
		"nothing": "", "no JSON": "{", "a list": "[]", "null": "null", "an empty object": "{}", "no list": `{"keys":{}}`, "null keys": `{"keys":null}`, "no keys": `{"keys":[]}`,
		"a text": `{"keys":["x"]}`, "a list in it": `{"keys":[[]]}`, "JSON and more": string(setOf(key)) + "x", "too many": string(setOf(many...)), "a single key": string(setOf(key)[9 : len(setOf(key))-2]),
	} {
		if secrets, err := NewKeySet(scheme, []byte(document)); err == nil {
			t.Errorf("%s: %d keys", name, len(secrets))
		}
	}
	if _, err := NewKeySet(scheme, setOf(many[1:]...)); err != nil {
		t.Errorf("%d keys: %v", maxSetKeys, err)
	}
	if _, err := NewKeySet(mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "S"}}}), setOf(key)); err == nil {
		t.Error("a set of keys for a shared secret")
	}
}

// The key is the one that the token names, and a key that no set has may be a new one.
func TestTokensNameTheirKey(t *testing.T) {
	scheme := tokens(t, "rsa-sha256")
	a, b := rsaKey(t, 2048), rsaKey(t, 2048)
	set, err := NewKeySet(scheme, setOf(jwkOf(a.Public(), "kid", "a"), jwkOf(b.Public(), "kid", "b")))
	if err != nil {
		t.Fatal(err)
	}
	unnamed, err := NewKeySet(scheme, setOf(jwkOf(a.Public())))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(key *rsa.PrivateKey, header string) string {
		encode := base64.RawURLEncoding.EncodeToString
		text := encode([]byte(header)) + "." + encode([]byte(`{"x":1}`))
		sum := sha256.Sum256([]byte(text))
		mac, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + encode(mac)
	}
	const head = `{"alg":"RS256"`
	for name, tt := range map[string]struct {
		token       string
		set         []Secret
		reason      Reason // "": it verifies
		other, name bool
	}{
		"its key":             {sign(a, head+`,"kid":"a"}`), set, "", false, false},
		"the second":          {sign(b, head+`,"kid":"b"}`), set, "", false, false},
		"no name":             {sign(b, head+`}`), set, "", false, false},
		"a name for no name":  {sign(a, head+`,"kid":"x"}`), unnamed, "", false, false},
		"the wrong one":       {sign(a, head+`,"kid":"b"}`), set, SignatureInvalid, true, false},
		"an unknown one":      {sign(a, head+`,"kid":"c"}`), set, SignatureInvalid, true, true},
		"in upper case":       {sign(a, head+`,"kid":"A"}`), set, SignatureInvalid, true, true},
		"an unknown key":      {sign(rsaKey(t, 2048), head+`}`), set, SignatureInvalid, true, false},
		"a path":              {sign(a, head+`,"kid":"../a"}`), set, SignatureMalformed, false, false},
		"empty":               {sign(a, head+`,"kid":""}`), set, SignatureMalformed, false, false},
		"null":                {sign(a, head+`,"kid":null}`), set, SignatureMalformed, false, false},
		"a number":            {sign(a, head+`,"kid":1}`), set, SignatureMalformed, false, false},
		"a list":              {sign(a, head+`,"kid":["a"]}`), set, SignatureMalformed, false, false},
		"twice":               {sign(a, head+`,"kid":"a","kid":"b"}`), set, SignatureMalformed, false, false},
		"another algorithm":   {sign(a, `{"alg":"HS256","kid":"a"}`), set, SignatureMalformed, false, false},
		"none":                {sign(a, `{"alg":"none","kid":"a"}`), set, SignatureMalformed, false, false},
		"no algorithm at all": {sign(a, `{"kid":"a"}`), set, SignatureMalformed, false, false},
	} {
		r := &Request{Header: map[string][]string{"X-Token": {tt.token}}}
		_, err := scheme.Verify(r, tt.set, Window{}, time.Now())
		got, _ := err.(*Error) //nolint:errorlint // what Verify returns
		if got == nil {
			got = &Error{}
		}
		if got.Reason != tt.reason || got.OtherKey != tt.other || got.KeyNamed != tt.name {
			t.Errorf("%s: %v, other key %t, named %t", name, err, got.OtherKey, got.KeyNamed)
		}
	}
}

// Without a set of keys, what a token says of its key is ignored.
func TestTheNameOfAConfiguredKeyIsIgnored(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	scheme := mustCompile(t, Spec{Named: "jwt", Signatures: []SignatureSpec{{Header: "X-Token", Algorithm: "ed25519"}}})
	made, err := NewPublicKey(base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)))
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"../any"}`)) + ".e30"
	r := &Request{Header: map[string][]string{"X-Token": {text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(text)))}}}
	if _, err := scheme.Verify(r, []Secret{{Key: made}}, Window{}, time.Now()); err != nil {
		t.Error(err)
	}
}

func FuzzKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","x5c":["AA=="],"x5t":"AA"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},null,1,"x"]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		for _, algorithm := range []string{"rsa-sha256", "ecdsa-sha256", "ed25519"} {
			scheme, err := Compile(Spec{KeySet: true, Signatures: []SignatureSpec{{Header: "S", Algorithm: algorithm}}})
			if err != nil {
				t.Fatal(err)
			}
			secrets, err := NewKeySet(scheme, document)
			if (err == nil) != (len(secrets) > 0) {
				t.Errorf("%d keys, %v", len(secrets), err)
			}
			for _, secret := range secrets {
				if checkKey(scheme.lines, secret.Key) != nil || secret.ID != "" && !isKeyID(secret.ID) {
					t.Errorf("a key that cannot be used, with the ID %q", secret.ID)
				}
			}
		}
	})
}
