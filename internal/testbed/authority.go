package testbed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority issues certificates for tests. Only clients configured with it trust them.
type Authority struct {
	// File holds its own certificate, as PEM.
	File string

	tb   testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority of one test's own.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	a := &Authority{tb: tb}
	a.cert, a.key = a.sign("authority", true)
	a.File = a.write("CERTIFICATE", a.cert.Raw)
	return a
}

// Issue makes a certificate for the loopback address and the name, good for servers and
// clients, and returns the PEM files of it and of its key.
func (a *Authority) Issue(name string) (cert, key string) {
	a.tb.Helper()
	issued, private := a.sign(name, false)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.tb.Fatal(err)
	}
	return a.write("CERTIFICATE", issued.Raw), a.write("PRIVATE KEY", der)
}

// Roots contains this authority alone.
func (a *Authority) Roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return roots
}

// sign makes a certificate: the authority's own while it has none.
func (a *Authority) sign(name string, isCA bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{name}, IPAddresses: []net.IP{net.ParseIP(loopbackHost)},
		IsCA: isCA, BasicConstraintsValid: true,
	}
	issuer, issuerKey := a.cert, a.key
	if issuer == nil {
		issuer, issuerKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		a.tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.tb.Fatal(err)
	}
	return cert, key
}

func (a *Authority) write(kind string, der []byte) (path string) {
	a.tb.Helper()
	path = filepath.Join(a.tb.TempDir(), "file.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		a.tb.Fatal(err)
	}
	return path
}

// RedisTLS are arguments that have redis-server listen for TLS on a port, too, and ask
// its clients for a certificate of this authority.
func (a *Authority) RedisTLS(port string) []string {
	a.tb.Helper()
	cert, key := a.Issue("redis.test")
	return []string{
		"--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", a.File, "--tls-auth-clients", "yes",
	}
}
