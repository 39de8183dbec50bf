package interop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// pair is a sender's key pair.
type pair struct {
	private string // as `send` takes it
	public  string // as the sender shows it to its customers: the key, or the address of a set
	lines   string // with which a guard has it
}

// newPair makes a key pair of a kind. Where the kind names one, the public half is published
// in a set or a certificate, at an address of its own.
func newPair(t *testing.T, kind string) pair {
	t.Helper()
	kind, published, _ := strings.Cut(kind, ", ")
	p := newKeys(t, kind)
	if rest, found := strings.CutPrefix(published, "certificate "); found {
		name, source, _ := strings.Cut(rest, " ")
		return certify(t, p.private, name, source)
	}
	if published == "chain" {
		return chain(t, p.private)
	}
	p.lines = "public_key {env.SECRET}"
	if published == "set" {
		p.public = publish(t, p.private)
		p.lines = "keys jwks {url}/.well-known/jwks.json"
	}
	return p
}

// publish serves the public half of a private key, as a set and as Google does in PEM,
// under the name that it has from its own bytes. So do the APIs of senders that give one
// key for its name.
func publish(t *testing.T, private string) (address string) {
	t.Helper()
	block, _ := pem.Decode([]byte(private))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	public := jose.JSONWebKey{Key: key.(crypto.Signer).Public(), Use: "sig"}
	sum, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	der, err := x509.MarshalPKIXPublicKey(public.Key)
	if err != nil {
		t.Fatal(err)
	}
	documents := http.NewServeMux()
	serve := func(path string, document any) {
		documents.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(document)
		})
	}
	serve("/.well-known/jwks.json", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	spki := base64.StdEncoding.EncodeToString(der)
	serve("POST /webhook_verification_key/get", map[string]any{"key": public})                                           // Plaid
	serve("GET /v2/notifications/publicKey/"+public.KeyID, map[string]any{"data": map[string]string{"publicKey": spki}}) // Circle
	serve("POST /identity/v1/oauth2/token", map[string]any{"access_token": "t", "token_type": "Bearer", "expires_in": 7200})
	serve("GET /commerce/notification/v1/public_key/"+public.KeyID, map[string]string{"key": "-----BEGIN PUBLIC KEY-----" + spki + "-----END PUBLIC KEY-----"})
	serve("GET /meta/public_keys/secret_scanning", map[string]any{"public_keys": []map[string]string{{
		"key_identifier": public.KeyID, "key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	}}})
	serve("/certs", map[string]string{public.KeyID: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
	server := httptest.NewServer(documents)
	t.Cleanup(server.Close)
	return server.URL
}

func newKeys(t *testing.T, kind string) pair {
	t.Helper()
	var key any
	var public string
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
	case "rsa":
		var pair *rsa.PrivateKey
		if pair, err = rsa.GenerateKey(rand.Reader, 2048); err == nil {
			var der []byte
			der, err = x509.MarshalPKIXPublicKey(&pair.PublicKey)
			public, key = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), pair
		}
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
	return pair{private: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), public: public}
}
