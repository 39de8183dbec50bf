package interop

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
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

// certified is a certificate with its key.
type certified struct {
	*x509.Certificate
	key crypto.Signer
}

// issue makes a certificate for a key in PEM. Without an issuer it is its own.
func issue(t *testing.T, private, name string, issuer *certified, change func(*x509.Certificate)) *certified {
	t.Helper()
	block, _ := pem.Decode([]byte(private))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	made := &certified{key: key.(crypto.Signer)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	change(template)
	parent := &certified{template, made.key}
	if issuer != nil {
		parent = issuer
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.Certificate, made.key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	if made.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return made
}

func authority(c *x509.Certificate) {
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
}

func (c *certified) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// file holds the certificate in PEM.
func (c *certified) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(path, c.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// certify publishes a certificate of a private key, which an authority of the test's own
// vouches for, at an address over TLS, which requests have in a source. The public half of the
// pair is what vouches for the address.
func certify(t *testing.T, private, name, source string) pair {
	t.Helper()
	root := issue(t, newKeys(t, "rsa").private, "authority", nil, authority)
	document := issue(t, private, name, root, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{name}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}).pem()

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
		lines: "keys x509 " + source + " " + server.URL + "/*.pem name " + name + " roots " + root.file(t) + " ca " + web.File,
	}
}

// The marks of Apple's certificates.
var (
	leafMark         = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 11, 1}
	intermediateMark = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 2, 1}
)

// chain makes three certificates as Apple's. The public half of the pair is those, in base64,
// joined by spaces. The first and the root are of one key: a sender signs with the first one's,
// and `send` issues certificates of its own with the root's.
func chain(t *testing.T, private string) pair {
	t.Helper()
	marked := func(c *x509.Certificate, id asn1.ObjectIdentifier) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Value: asn1.NullBytes})
	}
	root := issue(t, private, "root", nil, authority)
	intermediate := issue(t, newKeys(t, "p256").private, "intermediate", root, func(c *x509.Certificate) {
		authority(c)
		marked(c, intermediateMark)
	})
	leaf := issue(t, private, "leaf", intermediate, func(c *x509.Certificate) { marked(c, leafMark) })
	text := base64.StdEncoding.EncodeToString
	return pair{
		private: private, public: text(leaf.Raw) + " " + text(intermediate.Raw) + " " + text(root.Raw),
		lines: "keys x5c " + root.file(t) + " leaf " + leafMark.String() + " intermediate " + intermediateMark.String(),
	}
}
