package signature

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// What Sign writes is a detached JWS to another library, and the other way round, with each
// algorithm that has a name there.
func TestDetachedTokensAreThoseOfAnotherLibrary(t *testing.T) {
	ed := ed25519.NewKeyFromSeed([]byte("0123456789abcdef0123456789abcdef"))
	ec, rsa := ecKey(t, elliptic.P256()), rsaKey(t, 2048)
	secret := []byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	for name, tt := range map[string]struct {
		alg    jose.SignatureAlgorithm
		key    any
		public any
	}{
		"sha256": {jose.HS256, secret, secret}, "sha512": {jose.HS512, secret, secret}, "ed25519": {jose.EdDSA, ed, ed.Public()}, "ecdsa-sha256": {jose.ES256, ec, ec.Public()},
		"rsa-sha256": {jose.RS256, rsa, rsa.Public()}, "rsa-sha512": {jose.RS512, rsa, rsa.Public()}, "rsa-pss-sha512": {jose.PS512, rsa, rsa.Public()},
	} {
		scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "X-Sig", Algorithm: name, Encoding: "jws"}}, Signed: []string{"{header.X-Time}.{body|base64url}"}})
		key := &Key{bytes: secret}
		if public, err := publicKeyOf(tt.public); err == nil {
			key = public
		}
		const body = `{"a":"ü"}`
		payload := "1764000000." + tokenPart(body)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: tt.alg, Key: tt.key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign([]byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.DetachedCompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		verify := func(text, body string) error {
			r := testRequest("POST", "https://example.com/hook", body)
			r.Header["X-Sig"], r.Header["X-Time"] = []string{text}, []string{"1764000000"}
			_, err := scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, testNow)
			return err
		}
		if err := verify(text, body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := verify(text, body+" "); reasonOf(err) != SignatureInvalid {
			t.Errorf("%s with another body: %v", name, err)
		}
		for _, wrong := range []string{"", "x", "..", strings.Replace(text, "..", ".", 1), strings.Replace(text, "..", "."+tokenPart(payload)+".", 1), text + "..", text + "."} {
			if err := verify(wrong, body); reasonOf(err) != SignatureMalformed {
				t.Errorf("%s, %s: %v", name, wrong, err)
			}
		}
	}
	for _, algorithm := range []string{"sha1", "plain-sha256"} {
		spec := Spec{Signatures: []SignatureSpec{{Header: "X-Sig", Algorithm: algorithm, Encoding: "jws"}}}
		if _, err := Compile(spec); err == nil || !strings.Contains(err.Error(), "there is no JWS") {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}
