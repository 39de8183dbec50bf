package testbed

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"sync"
)

// PrivateKeys has one private key for each kind of algorithm that senders use
// ("ed25519", "ecdsa", "rsa"), as PKCS #8 in PEM. They are new in each process.
var PrivateKeys = sync.OnceValue(func() map[string]string {
	_, ed, edErr := ed25519.GenerateKey(rand.Reader)
	ec, ecErr := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rs, rsErr := rsa.GenerateKey(rand.Reader, 2048)
	for _, err := range []error{edErr, ecErr, rsErr} {
		if err != nil {
			panic(err) // the system gives no random bytes
		}
	}
	keys := make(map[string]string)
	for name, key := range map[string]any{"ed25519": ed, "ecdsa": ec, "rsa": rs} {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			panic(err) // a key type that x509 does not know
		}
		keys[name] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	return keys
})
