package signature

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxCertificates bounds the certificates of one document: a key's own and those of its
// issuers.
const maxCertificates = 8

// CertificateRules are what the certificate of a sender's key has to be.
type CertificateRules struct {
	// Roots are the authorities that may vouch for it; nil: the system's.
	Roots *x509.CertPool
	// Named reports whether the sender's certificates are for this name.
	Named func(name string) bool
}

// ParseCertificates reads certificates in PEM, the key's own first. Anything else in the
// document is an error.
func ParseCertificates(document []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for rest := bytes.TrimSpace(document); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		if !bytes.HasPrefix(rest, []byte("-----BEGIN CERTIFICATE-----")) {
			return nil, errors.New("it is not a certificate in PEM, or more follows one")
		}
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("it holds PEM that cannot be read")
		}
		if len(chain) == maxCertificates {
			return nil, fmt.Errorf("it has more than %d certificates", maxCertificates)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("it holds a certificate that cannot be read")
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return chain, nil
}

// Check judges the first certificate of a chain, with the others as those of its issuers:
// that an authority vouches for it, that it is in its time and of a server with one of the
// sender's names.
func (c CertificateRules) Check(chain []*x509.Certificate, now time.Time) error {
	own := chain[0]
	switch {
	case own.IsCA:
		return errors.New("the certificate is that of an authority, not of the sender")
	case own.KeyUsage != 0 && own.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return errors.New("the certificate is not for signatures")
	case !slices.ContainsFunc(own.DNSNames, func(name string) bool { return c.Named(strings.ToLower(name)) }):
		return errors.New("the certificate is for another name than the sender's")
	}
	issuers := x509.NewCertPool()
	for _, issuer := range chain[1:] {
		issuers.AddCert(issuer)
	}
	if _, err := own.Verify(x509.VerifyOptions{Roots: c.Roots, Intermediates: issuers, CurrentTime: now}); err != nil {
		return fmt.Errorf("the certificate is not valid: %w", err)
	}
	return nil
}

// NewCertificateKey makes the key of a checked certificate, which is in force as long as
// the certificate.
func NewCertificateKey(s *Scheme, certificate *x509.Certificate) (Secret, error) {
	key, err := publicKeyOf(certificate.PublicKey)
	if err == nil {
		err = checkKey(s.lines, key)
	}
	if err != nil {
		return Secret{}, fmt.Errorf("the certificate: %w", err)
	}
	return Secret{Key: key, Until: certificate.NotAfter}, nil
}
