package interop

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// certify publishes a certificate of a private key, which an authority of the test's own
// vouches for, at an address over TLS. The public half of the pair is what vouches for the
// address.
func certify(t *testing.T, private, name string) pair {
	t.Helper()
	block, _ := pem.Decode([]byte(private))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	block, _ = pem.Decode([]byte(newKeys(t, "rsa").private))
	authority, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	template := func(name string, isCA bool) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			IsCA: isCA, BasicConstraintsValid: true,
		}
	}
	root := template("authority", true)
	issue := func(certificate *x509.Certificate, signer any) []byte {
		der, err := x509.CreateCertificate(rand.Reader, certificate, root, signer.(crypto.Signer).Public(), authority)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, issue(root, authority), 0o600); err != nil {
		t.Fatal(err)
	}
	document := issue(template(name, false), key)

	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) }))
	web := testbed.NewAuthority(t)
	certificate, err := tls.LoadX509KeyPair(web.Issue("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca, err := os.ReadFile(web.File)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		private: private, public: string(ca),
		lines: "keys x509 body SigningCertURL " + server.URL + "/*.pem name " + name + " roots " + roots + " ca " + web.File,
	}
}
