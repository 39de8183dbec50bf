package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
)

// The algorithms with a public key.
const (
	nameEd25519 = "ed25519"
	nameECDSA   = "ecdsa-sha256"
	nameRSA256  = "rsa-sha256"
	nameRSA512  = "rsa-sha512"
	nameRSAPSS  = "rsa-pss-sha512"
)

// verifies checks one signature over a digest, or over the message itself for
// Ed25519. raw is how tokens write ECDSA: r and s, 32 bytes each, in place of
// ASN.1 DER.
func (k *Key) verifies(a algorithm, digest, signature []byte, raw bool) bool {
	switch public := k.public.(type) {
	case ed25519.PublicKey:
		return a.String() == nameEd25519 && ed25519.Verify(public, digest, signature)
	case *ecdsa.PublicKey:
		if a.String() != nameECDSA {
			return false
		}
		if !raw {
			return ecdsa.VerifyASN1(public, digest, signature)
		}
		if len(signature) != 64 {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(public, digest, r, s)
	case *rsa.PublicKey:
		switch a.String() {
		case nameRSA256:
			return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, signature) == nil
		case nameRSA512:
			return rsa.VerifyPKCS1v15(public, crypto.SHA512, digest, signature) == nil
		case nameRSAPSS:
			// Senders differ in the length of the salt, and none of them is wrong.
			return rsa.VerifyPSS(public, crypto.SHA512, digest, signature, nil) == nil
		}
	}
	return false
}

// signs is the inverse of verifies. Only it uses chance, which ECDSA and PSS
// need in a signature; verifying never does.
func (k *Key) signs(a algorithm, digest []byte, raw bool) ([]byte, error) {
	if k.private == nil {
		return nil, errors.New("a public key cannot sign, a private one is needed")
	}
	switch a.String() {
	case nameEd25519:
		return k.private.Sign(nil, digest, crypto.Hash(0))
	case nameECDSA:
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
	case nameRSA256:
		return k.private.Sign(nil, digest, crypto.SHA256)
	case nameRSA512:
		return k.private.Sign(nil, digest, crypto.SHA512)
	}
	return k.private.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA512})
}
