package cli

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// A certificate is served that the guard has been told to trust, and only for the key in it.
func TestACertificateIsServedForItsKey(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keyOf := func(private *rsa.PrivateKey) *signature.Key {
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		key, err := signature.NewPrivateKey(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"sns.amazonaws.com"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	roots := filepath.Join(t.TempDir(), "sender.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys := &config.KeySource{Roots: roots, X509: &config.Certificates{
		URL: signature.Source{Kind: signature.SourceBody, Name: "SigningCertURL"}, Allowed: []string{"http://127.0.0.1:8099/*.pem"}, Names: []string{"sns.amazonaws.com"},
	}}
	p, err := publishCertificate(keyOf(private), keys)
	if err != nil || p.url != "http://127.0.0.1:8099/sample.pem" || p.contentType != "application/x-pem-file" {
		t.Fatalf("%+v, %v", p, err)
	}
	if chain, err := signature.ParseCertificates(p.document); err != nil || len(chain) != 1 {
		t.Errorf("%d certificates, %v", len(chain), err)
	}
	for name, tt := range map[string]struct {
		key   *rsa.PrivateKey
		roots string
		want  string
	}{
		"another key":   {other, roots, "is not of the key that signs"},
		"no file":       {private, roots + ".missing", "roots: "},
		"nobody's word": {private, "", "nobody vouches for a certificate of yours"},
	} {
		keys.Roots = tt.roots
		if p, err := publishCertificate(keyOf(tt.key), keys); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v, want %q", name, p, err, tt.want)
		}
	}
	if p, err := publishCertificate(keyOf(private), &config.KeySource{JWKS: "http://127.0.0.1:8099/keys"}); p != nil || err != nil {
		t.Errorf("for a set of keys: %+v, %v", p, err)
	}
}
