package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
)

// testPair is a key pair and the ways in which its public key is written.
type testPair struct {
	private *Key
	signer  crypto.Signer
	spki    []byte
}

// testPairs are made once: RSA keys take their time.
var testPairs = sync.OnceValue(func() map[string]testPair {
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ec384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rs, _ := rsa.GenerateKey(rand.Reader, 2048)
	pairs := make(map[string]testPair)
	for name, signer := range map[string]crypto.Signer{"ed25519": ed, "ecdsa": ec, "p384": ec384, "rsa": rs} {
		der, err := x509.MarshalPKCS8PrivateKey(signer)
		if err != nil {
			panic(err)
		}
		key, err := NewPrivateKey(toPEM("PRIVATE KEY", der))
		if err != nil {
			panic(err)
		}
		spki, _ := x509.MarshalPKIXPublicKey(signer.Public())
		pairs[name] = testPair{key, signer, spki}
	}
	return pairs
})

func toPEM(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

// pairFor is the name of a pair that fits an algorithm.
func pairFor(algorithm string) string {
	switch {
	case strings.HasPrefix(algorithm, "rsa"):
		return "rsa"
	case strings.HasPrefix(algorithm, "ecdsa"):
		return "ecdsa"
	}
	return algorithm
}

var asymmetricNames = []string{nameEd25519, nameECDSA, nameRSA256, nameRSA512, nameRSAPSS}

// TestAsymmetric crosses algorithms, encodings and contents: what a private
// key signs its public key verifies, and no other key and no other body does.
func TestAsymmetric(t *testing.T) {
	for _, algorithm := range asymmetricNames {
		for _, encoding := range []string{"hex", "base64", "base64url", "base64hex"} {
			for _, functions := range [][]string{nil, {"sha256"}, {"sha256", "hex"}} {
				t.Run(fmt.Sprint(algorithm, encoding, functions), func(t *testing.T) {
					scheme := mustCompile(t, Spec{
						Signatures: []SignatureSpec{{Header: "Sig", Algorithm: algorithm, Encoding: encoding, Format: "v1,{signature}", Split: []string{" "}}},
						Signed:     []string{"{timestamp}.{body}"}, SignedFunctions: functions, Timestamp: testStamp(t, "header X-Time unix"),
					})
					checkAsymmetric(t, scheme, pairFor(algorithm))
				})
			}
		}
	}
}

func checkAsymmetric(t *testing.T, scheme *Scheme, pair string) {
	t.Helper()
	if !scheme.Asymmetric() || !scheme.CoversBody() {
		t.Fatal("not asymmetric, or does not cover the body")
	}
	r := testRequest("POST", "https://example.com/hook", `{"a":1}`)
	if err := scheme.Sign(r, testPairs()[pair].private, testNow, ""); err != nil {
		t.Fatal(err)
	}
	key, err := scheme.NewKey(toPEM("PUBLIC KEY", testPairs()[pair].spki))
	if err != nil {
		t.Fatal(err)
	}
	secrets := []Secret{{Key: testKey(t, "a secret")}, {Key: key}}
	verdict, err := scheme.Verify(r, secrets, vectorWindow, testNow)
	if err != nil || verdict.Secret != 1 {
		t.Fatalf("got %+v, %v", verdict, err)
	}
	for name, other := range testPairs() {
		public, err := NewPublicKey(base64.StdEncoding.EncodeToString(other.spki))
		if err != nil {
			t.Fatal(err)
		}
		_, err = scheme.Verify(r, []Secret{{Key: public}}, vectorWindow, testNow)
		if (err == nil) != (name == pair) {
			t.Errorf("with the key %s: %v", name, err)
		}
	}
	if err := scheme.Sign(r, key, testNow, ""); err == nil {
		t.Error("a public key signed")
	}
	r.Body = []byte(`{"a":2}`)
	_, err = scheme.Verify(r, secrets, vectorWindow, testNow)
	wantReason(t, err, SignatureInvalid)
}

// TestNewPublicKey checks that every form in which a sender prints a key gives the same key.
func TestNewPublicKey(t *testing.T) {
	for name, pair := range testPairs() {
		want, err := NewPublicKey(toPEM("PUBLIC KEY", pair.spki))
		if err != nil {
			t.Fatal(err)
		}
		block := strings.TrimSpace(toPEM("PUBLIC KEY", pair.spki))
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Unix(1, 0)}
		cert, err := x509.CreateCertificate(rand.Reader, template, template, pair.signer.Public(), pair.signer)
		if err != nil {
			t.Fatal(err)
		}
		texts := []string{
			block, strings.ReplaceAll(block, "\n", `\n`), strings.ReplaceAll(block, "\n", " "), strings.ReplaceAll(block, "\n", "\r\n"), "\n" + block + "\n\n",
			base64.StdEncoding.EncodeToString(pair.spki), base64.RawURLEncoding.EncodeToString(pair.spki),
			toPEM("CERTIFICATE", cert), publicKeyPrefix + base64.StdEncoding.EncodeToString(pair.spki),
		}
		switch public := pair.signer.Public().(type) {
		case ed25519.PublicKey:
			texts = append(texts, hex.EncodeToString(public), strings.ToUpper(hex.EncodeToString(public)), base64.StdEncoding.EncodeToString(public),
				base64.RawStdEncoding.EncodeToString(public), "whpk_"+base64.StdEncoding.EncodeToString(public))
		case *rsa.PublicKey:
			texts = append(texts, toPEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(public)))
		}
		for _, text := range texts {
			key, err := NewPublicKey(text)
			if err != nil || !samePublic(key, want) || !samePublic(want, pair.private) {
				t.Errorf("%s, %q: %v", name, text, err)
			}
			if got := fmt.Sprintf("%v %x %s", key, key, pair.private); got != "[redacted] [redacted] [redacted]" {
				t.Errorf("printed as %s", got)
			}
		}
	}
}

func samePublic(a, b *Key) bool {
	public, ok := a.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(b.public)
}

func TestNewPublicKeyErrors(t *testing.T) {
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	smallDER, _ := x509.MarshalPKIXPublicKey(small.Public())
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	ecDER, _ := x509.MarshalECPrivateKey(p224)
	good := toPEM("PUBLIC KEY", testPairs()["rsa"].spki)
	seed := testPairs()["ed25519"].signer.(ed25519.PrivateKey)
	for name, test := range map[string]struct{ text, want string }{
		"empty":              {" ", "is empty"},
		"prefix only":        {"whpk_", "is empty"},
		"text":               {"hello world!", "neither PEM nor hex nor base64"},
		"short":              {"aGVsbG8=", "cannot be read"},
		"zeros":              {strings.Repeat("00", 32), "anyone can sign for"},
		"neutral point":      {"01" + strings.Repeat("00", 31), "anyone can sign for"},
		"private prefix":     {"whsk_aGVsbG8=", "private one"},
		"private ed25519":    {base64.StdEncoding.EncodeToString(seed), "64 bytes"},
		"private PEM":        {toPEM("EC PRIVATE KEY", ecDER), "private one"},
		"two blocks":         {good + good, "one block"},
		"cut off":            {good[:len(good)/2], "one block"},
		"something after":    {good + "x", "one block"},
		"another label":      {toPEM("DH PARAMETERS", []byte{1}), "is PEM, but not"},
		"a few bits":         {base64.StdEncoding.EncodeToString(smallDER), "RSA with 1024 bits"},
		"broken base64":      {"-----BEGIN PUBLIC KEY-----\n!!!\n-----END PUBLIC KEY-----", "one block"},
		"broken key":         {toPEM("PUBLIC KEY", testPairs()["rsa"].spki[:100]), "cannot be read"},
		"label of another":   {toPEM("CERTIFICATE", testPairs()["rsa"].spki), "cannot be read"},
		"begin without dash": {"-----BEGIN", "one block"},
		"an X25519 key":      {base64.StdEncoding.EncodeToString(append([]byte{0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 0x21, 0}, seed[32:]...)), "not Ed25519, ECDSA or RSA"},
	} {
		_, err := NewPublicKey(test.text)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
		if err != nil && len(test.text) > 12 && strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: the error holds the key", name)
		}
	}
}

func TestNewPrivateKey(t *testing.T) {
	seed := testPairs()["ed25519"].signer.(ed25519.PrivateKey).Seed()
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(seed), "whsk_" + base64.StdEncoding.EncodeToString(seed),
		base64.StdEncoding.EncodeToString(testPairs()["ed25519"].signer.(ed25519.PrivateKey)),
	} {
		key, err := NewPrivateKey(text)
		if err != nil || !samePublic(key, testPairs()["ed25519"].private) {
			t.Errorf("got %v", err)
		}
	}
	for text, want := range map[string]string{
		"":                                 "seed of 32 bytes",
		"!":                                "neither PEM nor base64",
		"aGk=":                             "seed of 32 bytes",
		toPEM("EC PRIVATE KEY", []byte{1}): "PKCS #8",
		toPEM("PRIVATE KEY", []byte{1}):    "cannot be read",
		"-----BEGIN PRIVATE KEY-----":      "one block",
	} {
		if _, err := NewPrivateKey(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// TestCheckKey checks that a key of the wrong kind is an error when it is loaded, and
// verifies nothing where it slips through all the same.
func TestCheckKey(t *testing.T) {
	pairs := testPairs()
	for _, test := range []struct {
		algorithm string
		named     string
		key       *Key
		want      string
	}{
		{"sha256", "", testKey(t, "k"), ""},
		{"sha256", "", pairs["rsa"].private, "needs a secret, not a public key"},
		{"plain-sha256", "", pairs["ed25519"].private, "needs a secret, not a public key"},
		{"ed25519", "", testKey(t, "k"), "needs the sender's public key"},
		{"ed25519", "", pairs["rsa"].private, "needs an Ed25519 key, and this is an RSA key"},
		{"rsa-sha256", "", pairs["ecdsa"].private, "needs an RSA key, and this is an ECDSA key"},
		{"ecdsa-sha256", "", pairs["p384"].private, ""},
		{"ecdsa-sha256", "jwt", pairs["p384"].private, "P-256"},
		{"ecdsa-sha256", "jwt", pairs["ecdsa"].private, ""},
		{"ed25519", "", nil, "is empty"},
		{"ed25519", "", &Key{}, "is empty"},
	} {
		spec := Spec{Signatures: []SignatureSpec{{Header: "Sig", Algorithm: test.algorithm}}, Named: test.named}
		if test.algorithm == "plain-sha256" {
			spec.Signed = []string{"{secret}{body}"}
		}
		err := checkKey(mustCompile(t, spec).lines, test.key)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s %s: got %v, want %q", test.named, test.algorithm, err, test.want)
		}
	}
	// The public key's bytes as the secret of an HMAC.
	scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}})
	r := testRequest("POST", "https://example.com/", "body")
	if err := scheme.Sign(r, &Key{bytes: pairs["rsa"].spki}, testNow, ""); err != nil {
		t.Fatal(err)
	}
	_, err := scheme.Verify(r, []Secret{{Key: pairs["rsa"].private}}, vectorWindow, testNow)
	wantReason(t, err, SignatureInvalid)
}
