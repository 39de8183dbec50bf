package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// NewPrivateKey reads a key that [Scheme.Sign] can use and that verifies as
// its public part does: PKCS #8 in PEM, or the seed of an Ed25519 key (32
// bytes) in base64, with a prefix whsk_ or without. It is for tests and for
// sending samples; a guard does not need it.
func NewPrivateKey(text string) (*Key, error) {
	private, err := parsePrivateKey(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("the private key %w", err)
	}
	key, err := publicKeyOf(private.Public())
	if err != nil {
		return nil, err
	}
	key.private = private
	return key, nil
}

func parsePrivateKey(text string) (crypto.Signer, error) {
	if strings.HasPrefix(text, "-----") {
		label, der, err := decodePEM(text)
		if err != nil {
			return nil, err
		}
		if label != "PRIVATE KEY" {
			return nil, errors.New("is not a PRIVATE KEY (PKCS #8): openssl pkcs8 -topk8 -nocrypt makes one")
		}
		parsed, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, errors.New("cannot be read")
		}
		if private, ok := parsed.(crypto.Signer); ok {
			return private, nil
		}
		return nil, errors.New("cannot sign")
	}
	raw, err := decodeAnyBase64(strings.TrimPrefix(text, privateKeyPrefix))
	switch {
	case err != nil:
		return nil, errors.New("is neither PEM nor base64")
	case len(raw) == ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(raw), nil
	case len(raw) == ed25519.PrivateKeySize:
		return ed25519.NewKeyFromSeed(raw[:ed25519.SeedSize]), nil
	}
	return nil, errors.New("is neither PEM nor a seed of 32 bytes")
}

// AnotherKey makes a private key that has the type of this one and passes for it, to forge
// signatures with.
func AnotherKey(k *Key) (*Key, error) {
	var private crypto.Signer
	var err error
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		private, err = rsa.GenerateKey(rand.Reader, public.N.BitLen())
	case *ecdsa.PublicKey:
		private, err = ecdsa.GenerateKey(public.Curve, rand.Reader)
	default:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return nil, err
	}
	return &Key{public: private.Public(), private: private, called: k.name(), brings: k.brings}, nil
}

// signs is the inverse of verifies. It uses random numbers, which ECDSA and PSS
// need in a signature; verifying never does.
func (k *Key) signs(a algorithm, digest []byte, raw bool) ([]byte, error) {
	if k.private == nil {
		return nil, errors.New("a public key cannot sign, a private one is needed")
	}
	switch a.String() {
	case nameEd25519:
		return k.private.Sign(nil, digest, crypto.Hash(0))
	case nameECDSA, nameECDSA1:
		private, ok := k.private.(*ecdsa.PrivateKey)
		if !ok {
			return nil, errors.New("the key is not ECDSA")
		}
		if !raw {
			return ecdsa.SignASN1(rand.Reader, private, digest)
		}
		r, s, err := ecdsa.Sign(rand.Reader, private, digest)
		if err != nil {
			return nil, err
		}
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return out, nil
	case nameRSA1:
		return k.private.Sign(nil, digest, crypto.SHA1)
	case nameRSA256:
		return k.private.Sign(nil, digest, crypto.SHA256)
	case nameRSA512:
		return k.private.Sign(nil, digest, crypto.SHA512)
	}
	return k.private.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA512})
}
