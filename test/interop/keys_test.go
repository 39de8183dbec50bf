package interop

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"testing"
)

// newKeys makes a key pair: the private key as `send` takes it, the public one
// as the sender shows it to its customers.
func newKeys(t *testing.T, kind string) (private, public string) {
	t.Helper()
	var key any
	var err error
	switch kind {
	case "ed25519 hex":
		var pub ed25519.PublicKey
		pub, key, err = ed25519.GenerateKey(rand.Reader)
		public = hex.EncodeToString(pub)
	case "ed25519 base64":
		var pub ed25519.PublicKey
		pub, key, err = ed25519.GenerateKey(rand.Reader)
		public = base64.StdEncoding.EncodeToString(pub)
	case "p256":
		var pair *ecdsa.PrivateKey
		if pair, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err == nil {
			var der []byte
			der, err = x509.MarshalPKIXPublicKey(&pair.PublicKey)
			public, key = base64.StdEncoding.EncodeToString(der), pair
		}
	default:
		t.Fatalf("no keys of kind %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), public
}
