package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// NewKeyPair makes a key pair that [Scheme.Sign] can use and that the scheme verifies
// with, for tests and for sending samples.
func NewKeyPair(s *Scheme) (*Key, error) {
	if !s.Asymmetric() {
		return nil, errors.New("the sender signs with a shared secret, not with a key pair")
	}
	var private crypto.Signer
	var err error
	switch keyNames[s.lines[0].algorithm.String()] {
	case keyNames[nameEd25519]:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case keyNames[nameECDSA]:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, minRSA)
	}
	if err != nil {
		return nil, fmt.Errorf("making a key pair: %w", err)
	}
	return &Key{public: private.Public(), private: private}, nil
}

// NameOf is what a signature of this key calls it, where its sender's name their keys.
func NameOf(k *Key) string { return k.name() }

// PublicPEM is a key's public half alone, as [NewPublicKey] reads it.
func PublicPEM(k *Key) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		return "", fmt.Errorf("writing the public key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// PublicSet is the set of a key's public half alone (JWKS), as its sender publishes it.
func PublicSet(k *Key) ([]byte, error) {
	public := jose.JSONWebKey{Key: k.public, KeyID: k.name(), Use: "sig"}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	if err != nil {
		return nil, fmt.Errorf("writing the set of keys: %w", err)
	}
	return set, nil
}
