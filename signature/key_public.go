package signature

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// publicKeyPrefix is how Standard Webhooks marks a public key. Its private
// keys begin with whsk_.
const (
	publicKeyPrefix  = "whpk_"
	privateKeyPrefix = "whsk_"
)

// minRSA is the shortest modulus accepted, in bits. Shorter ones have been
// disallowed for signatures since 2013 (NIST SP 800-131A).
const minRSA = 2048

// NewPublicKey reads the key of a sender that signs with one. The form is
// detected: PEM (PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE), an
// Ed25519 key of 32 bytes in hex or base64, or a SubjectPublicKeyInfo in
// base64, which is a PEM without its first and last line. A prefix whpk_ is
// stripped, with v1a, before it or not, and line breaks may be \n or missing, as in environment
// variables. Errors never hold the text.
func NewPublicKey(text string) (*Key, error) {
	public, err := parsePublicKey(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("the public key %w", err)
	}
	return publicKeyOf(public)
}

func publicKeyOf(public crypto.PublicKey) (*Key, error) {
	switch key := public.(type) {
	case ed25519.PublicKey:
		if smallOrder(key) || bytes.Equal(key, ed25519Base) {
			return nil, errAnyone
		}
	case *rsa.PublicKey:
		if err := checkRSA(key); err != nil {
			return nil, err
		}
	case *ecdsa.PublicKey:
		// Points at infinity and beside the curve are refused where the key is read.
		if isGenerator(key) {
			return nil, errAnyone
		}
	default:
		return nil, errors.New("the public key is not Ed25519, ECDSA or RSA")
	}
	return &Key{public: public}, nil
}

func parsePublicKey(text string) (crypto.PublicKey, error) {
	text = strings.TrimPrefix(strings.TrimPrefix(text, publicKeyVersion), publicKeyPrefix)
	switch {
	case text == "":
		return nil, errors.New("is empty")
	case strings.HasPrefix(text, privateKeyPrefix):
		return nil, errors.New("is a private one, which the sender alone should have")
	}
	if strings.HasPrefix(text, "-----") {
		label, der, err := decodePEM(text)
		if err != nil {
			return nil, err
		}
		return parsePublicDER(label, der)
	}
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == ed25519.PublicKeySize {
		return ed25519.PublicKey(raw), nil
	}
	raw, err := decodeAnyBase64(text)
	switch {
	case err != nil:
		return nil, errors.New("is neither PEM nor hex nor base64")
	case len(raw) == ed25519.PublicKeySize:
		return ed25519.PublicKey(raw), nil
	case len(raw) == ed25519.PrivateKeySize:
		return nil, errors.New("has 64 bytes, as an Ed25519 private key has: the public one has 32")
	}
	return parsePublicDER("PUBLIC KEY", raw)
}

func parsePublicDER(label string, der []byte) (public crypto.PublicKey, err error) {
	switch label {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(der)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(der)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(der); err == nil {
			// Its dates and issuer are not checked, since the user put it here.
			public = cert.PublicKey
		}
	default:
		if strings.HasSuffix(label, "PRIVATE KEY") {
			return nil, errors.New("is a private one, which the sender alone should have")
		}
		return nil, errors.New("is PEM, but not of a PUBLIC KEY, an RSA PUBLIC KEY or a CERTIFICATE")
	}
	if err != nil {
		return nil, errors.New("cannot be read: is it all there, with nothing after it?")
	}
	return public, nil
}

// decodePEM reads PEM that came through an environment variable or a form, where line
// breaks may be the two characters \n, spaces or missing. encoding/pem refuses those.
func decodePEM(text string) (label string, der []byte, err error) {
	malformed := errors.New("begins as PEM does, and does not go on as one block of it")
	rest, ok := strings.CutPrefix(text, "-----BEGIN ")
	if !ok {
		return "", nil, malformed
	}
	label, rest, ok = strings.Cut(rest, "-----")
	body, tail, end := strings.Cut(rest, "-----END "+label+"-----")
	if !ok || !end || strings.TrimSpace(strings.ReplaceAll(tail, `\n`, "")) != "" {
		return "", nil, malformed
	}
	der, err = base64.StdEncoding.DecodeString(withoutBreaks(body))
	if err != nil {
		return "", nil, malformed
	}
	return label, der, nil
}

func withoutBreaks(text string) string {
	return strings.NewReplacer(`\r`, "", `\n`, "", "\r", "", "\n", "", " ", "", "\t", "").Replace(text)
}

func decodeAnyBase64(text string) ([]byte, error) {
	text = strings.TrimRight(withoutBreaks(text), "=")
	if strings.ContainsAny(text, "-_") {
		return base64.RawURLEncoding.DecodeString(text)
	}
	return base64.RawStdEncoding.DecodeString(text)
}

var keyNames = map[string]string{
	nameEd25519: "an Ed25519", nameECDSA: "an ECDSA", nameECDSA1: "an ECDSA", nameRSA1: "an RSA", nameRSA256: "an RSA", nameRSA512: "an RSA", nameRSAPSS: "an RSA",
}

func (k *Key) typeName() string {
	switch k.public.(type) {
	case ed25519.PublicKey:
		return keyNames[nameEd25519]
	case *ecdsa.PublicKey:
		return keyNames[nameECDSA]
	case *rsa.PublicKey:
		return keyNames[nameRSA256]
	}
	return "a secret"
}

// fits reports whether the key can be used with the algorithm at all. It is
// checked again for every signature: an HMAC under a public key, which everyone
// knows, is a classic forgery.
func (k *Key) fits(a algorithm) bool {
	if a.kind() != asymmetric {
		return k.public == nil && k.chain == nil
	}
	return k.public != nil && k.typeName() == keyNames[a.String()]
}

// verifies checks one signature over a digest, or over the message itself for
// Ed25519. raw is how tokens write ECDSA: r and s, 32 bytes each, in place of
// ASN.1 DER.
func (k *Key) verifies(a algorithm, digest, signature []byte, raw bool) bool {
	switch public := k.public.(type) {
	case ed25519.PublicKey:
		return a.String() == nameEd25519 && ed25519.Verify(public, digest, signature)
	case *ecdsa.PublicKey:
		if a.String() != nameECDSA && a.String() != nameECDSA1 {
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
		case nameRSA1:
			return rsa.VerifyPKCS1v15(public, crypto.SHA1, digest, signature) == nil
		case nameRSA256:
			return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, signature) == nil
		case nameRSA512:
			return rsa.VerifyPKCS1v15(public, crypto.SHA512, digest, signature) == nil
		case nameRSAPSS:
			// Senders use salts of different lengths, and all are valid.
			return rsa.VerifyPSS(public, crypto.SHA512, digest, signature, nil) == nil
		}
	}
	return false
}
