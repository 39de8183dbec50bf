package e2e

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// The marks of Apple's certificates.
var (
	leafMark         = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 11, 1}
	intermediateMark = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 2, 1}
)

// marked adds an extension that says nothing but that it is there.
func marked(id asn1.ObjectIdentifier) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: id, Value: asn1.NullBytes})
	}
}

func valid(from, until time.Duration) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(until)
	}
}

func asAuthority(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
}

// certificate is a certificate and its key.
type certificate struct {
	*x509.Certificate
	pair
}

// issue makes a certificate for a key; without an issuer it is its own.
func issue(t *testing.T, name string, key pair, issuer *certificate, changes ...func(*x509.Certificate)) *certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-10 * 365 * 24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	for _, change := range changes {
		change(template)
	}
	parent, signer := template, key.private
	if issuer != nil {
		parent, signer = issuer.Certificate, issuer.private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.private.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &certificate{cert, key}
}

// appleChain is a chain as Apple's, with a root of its own.
type appleChain struct{ root, intermediate, leaf *certificate }

func newAppleChain(t *testing.T) appleChain {
	t.Helper()
	root := issue(t, "Root CA", newEC(t, "", elliptic.P384()), nil, asAuthority)
	intermediate := issue(t, "Developer Relations", newEC(t, "", elliptic.P384()), root, asAuthority, marked(intermediateMark))
	return appleChain{root, intermediate, issue(t, "Receipt Signing", newEC(t, "", elliptic.P256()), intermediate, marked(leafMark))}
}

// file holds the chain's root in PEM.
func (c appleChain) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.root.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// x5c is the header of certificates. The first is the signer's.
func x5c(certs ...*certificate) map[string]any {
	texts := []string{}
	for _, cert := range certs {
		texts = append(texts, base64.StdEncoding.EncodeToString(cert.Raw))
	}
	return map[string]any{"x5c": texts, "alg": "ES256", "kid": nil, "typ": nil}
}

// notification is what Apple signs: changes replace members, nil removes them.
func notification(changes map[string]any) map[string]any {
	claims := map[string]any{
		"notificationType": "SUBSCRIBED", "subtype": "INITIAL_BUY", "notificationUUID": testbed.NewID(), "version": "2.0",
		"signedDate": time.Now().UnixMilli(),
		"data":       map[string]any{"environment": "Production", "appAppleId": 41234, "bundleId": "com.example", "bundleVersion": "1", "status": 1},
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// notified is the notification's body.
func notified(token string) []byte {
	body, _ := json.Marshal(map[string]string{"signedPayload": token})
	return body
}

// signedRaw is a token whose claims are a text of any form.
func signedRaw(t *testing.T, c *certificate, header map[string]any, claims string) string {
	t.Helper()
	head := map[string]any{}
	for name, value := range header {
		if value != nil {
			head[name] = value
		}
	}
	first, _ := json.Marshal(head)
	text := inURL(first) + "." + inURL([]byte(claims))
	return text + "." + inURL(c.sign(t, []byte(text)))
}
