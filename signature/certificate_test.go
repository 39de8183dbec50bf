package signature

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

var certificateTime = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// certify makes a certificate; parent and its key are its own where they are nil.
func certify(t *testing.T, public crypto.PublicKey, name string, parent *x509.Certificate, by crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, BasicConstraintsValid: true,
		NotBefore: certificateTime.Add(-time.Hour), NotAfter: certificateTime.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(template)
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func authority(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.DNSNames, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil, nil
}

func inPEM(certificates ...*x509.Certificate) string {
	var text strings.Builder
	for _, c := range certificates {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return text.String()
}

func TestCertificatesAreChecked(t *testing.T) {
	rootKey, strangersKey, key := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()), rsaKey(t, 2048)
	root := certify(t, rootKey.Public(), "root", nil, rootKey, authority)
	middle := certify(t, rootKey.Public(), "middle", root, rootKey, authority)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	rules := CertificateRules{Roots: roots, Named: func(name string) bool { return name == "signing.example.com" }}
	own := func(change func(*x509.Certificate)) *x509.Certificate {
		return certify(t, key.Public(), "signing.example.com", root, rootKey, change)
	}
	good := own(nil)
	below := certify(t, key.Public(), "signing.example.com", middle, rootKey, nil)
	stranger := certify(t, strangersKey.Public(), "root", nil, strangersKey, authority)
	for name, tt := range map[string]struct {
		chain []*x509.Certificate
		at    time.Duration
		want  string // "": it is good
	}{
		"its own":              {[]*x509.Certificate{good}, 0, ""},
		"with its issuer":      {[]*x509.Certificate{below, middle}, 0, ""},
		"with others too":      {[]*x509.Certificate{below, good, root, middle}, 0, ""},
		"without its issuer":   {[]*x509.Certificate{below}, 0, "unknown authority"},
		"its issuer first":     {[]*x509.Certificate{middle, below}, 0, "of an authority"},
		"in upper case":        {[]*x509.Certificate{own(func(c *x509.Certificate) { c.DNSNames = []string{"SIGNING.Example.com"} })}, 0, ""},
		"one name of several":  {[]*x509.Certificate{own(func(c *x509.Certificate) { c.DNSNames = []string{"a.example.com", "signing.example.com"} })}, 0, ""},
		"another name":         {[]*x509.Certificate{own(func(c *x509.Certificate) { c.DNSNames = []string{"a.example.com"} })}, 0, "another name"},
		"a wildcard":           {[]*x509.Certificate{own(func(c *x509.Certificate) { c.DNSNames = []string{"*.example.com"} })}, 0, "another name"},
		"no name but a common": {[]*x509.Certificate{own(func(c *x509.Certificate) { c.DNSNames = nil })}, 0, "another name"},
		"expired":              {[]*x509.Certificate{good}, 2 * time.Hour, "not valid"},
		"early":                {[]*x509.Certificate{good}, -2 * time.Hour, "not valid"},
		"a foreign root":       {[]*x509.Certificate{certify(t, key.Public(), "signing.example.com", stranger, strangersKey, nil), stranger}, 0, "unknown authority"},
		"self-signed":          {[]*x509.Certificate{certify(t, key.Public(), "signing.example.com", nil, key, nil)}, 0, "unknown authority"},
		"for encryption":       {[]*x509.Certificate{own(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })}, 0, "not for signatures"},
		"for clients":          {[]*x509.Certificate{own(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })}, 0, "not valid"},
		"an authority":         {[]*x509.Certificate{own(func(c *x509.Certificate) { c.IsCA = true })}, 0, "of an authority"},
	} {
		err := rules.Check(tt.chain, certificateTime.Add(tt.at))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	scheme := mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "S", Algorithm: "rsa-sha256"}}})
	secret, err := NewCertificateKey(scheme, good)
	if err != nil || !secret.Until.Equal(good.NotAfter) {
		t.Errorf("%v, until %s", err, secret.Until)
	}
	for name, public := range map[string]crypto.PublicKey{"a short key": rsaKey(t, 1024).Public(), "another kind": rootKey.Public()} {
		if _, err := NewCertificateKey(scheme, certify(t, public, "signing.example.com", root, rootKey, nil)); err == nil {
			t.Errorf("%s: a key", name)
		}
	}
}

func TestDocumentsThatAreNoCertificates(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	good := inPEM(certify(t, key.Public(), "a.example.com", nil, key, nil))
	for name, text := range map[string]string{
		"nothing": "", "spaces": " \n", "a text": "hello", "a text before": "hello\n" + good, "a text after": good + "hello", "a text between": good + "hello\n" + good,
		"a key": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "half of it": good[:len(good)/2], "no certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"too many": strings.Repeat(good, maxCertificates+1), "DER": "\x30\x82",
	} {
		if chain, err := ParseCertificates([]byte(text)); err == nil {
			t.Errorf("%s: %d certificates", name, len(chain))
		}
	}
	if chain, err := ParseCertificates([]byte("\n" + strings.ReplaceAll(strings.Repeat(good, maxCertificates), "\n", "\r\n"))); err != nil || len(chain) != maxCertificates {
		t.Errorf("%d certificates, %v", len(chain), err)
	}
}

func FuzzCertificates(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, document []byte) {
		chain, err := ParseCertificates(document)
		if (err == nil) != (len(chain) > 0) {
			t.Fatalf("%d certificates, %v", len(chain), err)
		}
		if err == nil {
			rules := CertificateRules{Roots: x509.NewCertPool(), Named: func(string) bool { return true }}
			if rules.Check(chain, certificateTime) == nil {
				t.Error("nobody vouches for it")
			}
		}
	})
}
