package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// publicKeyPrefix is how Standard Webhooks marks a public key. Its private
// keys begin with whsk_.
const (
	publicKeyPrefix  = "whpk_"
	privateKeyPrefix = "whsk_"
)

// minRSA is the shortest modulus that is taken, in bits: what is shorter has
// not been good for signatures since 2013 (NIST SP 800-131A).
const minRSA = 2048

// NewPublicKey reads the key of a sender that signs with one. What the text
// is, is told from it: PEM (PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE), an
// Ed25519 key of 32 bytes in hex or base64, or a SubjectPublicKeyInfo in
// base64, which is a PEM without its first and last line. A prefix whpk_ is
// stripped, and line breaks may be \n or missing, as in environment
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
		if smallOrder(key) {
			return nil, errors.New("the public key is one that anyone can sign for")
		}
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return nil, fmt.Errorf("the public key is RSA with %d bits, and fewer than %d can be broken", bits, minRSA)
		}
	case *ecdsa.PublicKey:
	default:
		return nil, errors.New("the public key is not Ed25519, ECDSA or RSA")
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, errors.New("the public key cannot be used")
	}
	return &Key{public: public, der: der}, nil
}

func parsePublicKey(text string) (crypto.PublicKey, error) {
	text = strings.TrimPrefix(text, publicKeyPrefix)
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
			// Its dates and issuer are not judged: it was put here by hand.
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

// decodePEM is for PEM that went through an environment variable or a form:
// line breaks may be the two characters \n, spaces or gone. Those encoding/pem
// does not take.
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

// smallOrder tells the few Ed25519 keys, all zeros among them, for which a
// signature of nothing is good for every eighth text or more.
func smallOrder(key ed25519.PublicKey) bool {
	forged := make([]byte, ed25519.SignatureSize)
	forged[0] = 1 // R is the neutral point, S is zero
	for i := range byte(64) {
		if ed25519.Verify(key, []byte{i}, forged) {
			return true
		}
	}
	return false
}

// NewPrivateKey reads a key that [Scheme.Sign] can use and that verifies as
// its public part does: PKCS #8 in PEM, or the seed of an Ed25519 key (32
// bytes) in base64, with a prefix whsk_ or without. It is for tests and for
// sending samples: a guard has no use for it.
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

// CheckKey says what is wrong with using a key in this scheme: a secret where
// a public key is needed, or a key of another type than the algorithm's.
func (s *Scheme) CheckKey(key *Key) error {
	if key == nil || !key.usable() {
		return errors.New("the key is empty")
	}
	for i := range s.lines {
		if err := s.lines[i].checkKey(key); err != nil {
			return err
		}
	}
	return nil
}

func (l *signatureLine) checkKey(key *Key) error {
	switch {
	case l.algorithm.kind() == asymmetric && key.public == nil:
		return fmt.Errorf("%s needs the sender's public key, not a secret", l.algorithm)
	case l.algorithm.kind() != asymmetric && key.public != nil:
		return fmt.Errorf("%s needs a secret, not a public key", l.algorithm)
	case !key.fits(l.algorithm):
		return fmt.Errorf("%s needs %s key, and this is %s key", l.algorithm, keyNames[l.algorithm.String()], key.typeName())
	}
	if l.jwt && l.algorithm.String() == nameECDSA {
		if public, ok := key.public.(*ecdsa.PublicKey); ok && public.Curve != elliptic.P256() {
			return errors.New("a JWT with ecdsa-sha256 (ES256) needs a key on the curve P-256")
		}
	}
	return nil
}

var keyNames = map[string]string{
	nameEd25519: "an Ed25519", nameECDSA: "an ECDSA", nameRSA256: "an RSA", nameRSA512: "an RSA", nameRSAPSS: "an RSA",
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

// fits says whether the key can be used with the algorithm at all. It is
// asked again for every signature: an HMAC under a public key, which everyone
// knows, is the oldest forgery of them all.
func (k *Key) fits(a algorithm) bool {
	if a.kind() != asymmetric {
		return k.public == nil
	}
	return k.public != nil && k.typeName() == keyNames[a.String()]
}
