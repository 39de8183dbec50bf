package signature

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// NewChainSigner makes a key that signs tokens as [NewChainKey] wants them: they bring along
// the certificates that the authority, whose private key is given and whose certificate is one
// of the roots, issues here for as long as its own is valid. It is for tests and for sending
// samples; a guard does not need it.
func NewChainSigner(c Chain, authority *Key) (*Key, error) {
	checked, err := NewChainKey(c)
	if err != nil {
		return nil, err
	}
	root := checked.chain.rootOf(authority)
	if root == nil {
		return nil, errors.New("no certificate of the roots is of the key that signs")
	}
	issuer, issuerKey, err := issue(root, authority, "intermediate", func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		c.ExtraExtensions = mark(checked.chain.intermediate)
	})
	if err != nil {
		return nil, err
	}
	leaf, key, err := issue(issuer, issuerKey, "signer", func(c *x509.Certificate) {
		c.KeyUsage, c.ExtraExtensions = x509.KeyUsageDigitalSignature, mark(checked.chain.leaf)
	})
	if err != nil {
		return nil, err
	}
	key.brings = [][]byte{leaf.Raw, issuer.Raw, root.Raw}
	return key, nil
}

// rootOf is the authority's certificate; nil where there is none.
func (c *chain) rootOf(authority *Key) *x509.Certificate {
	public, err := x509.MarshalPKIXPublicKey(authority.public)
	if err != nil {
		return nil
	}
	for _, root := range c.roots {
		if bytes.Equal(root.RawSubjectPublicKeyInfo, public) {
			return root
		}
	}
	return nil
}

// issue makes a P-256 key, and a certificate of it.
func issue(from *x509.Certificate, with *Key, name string, shape func(*x509.Certificate)) (*x509.Certificate, *Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "webhook-guard " + name}, NotBefore: from.NotBefore, NotAfter: from.NotAfter,
	}
	shape(template)
	der, err := x509.CreateCertificate(rand.Reader, template, from, private.Public(), with.private)
	if err != nil {
		return nil, nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return cert, &Key{public: private.Public(), private: private}, err
}

// mark is an extension that says nothing but its ID; none without an ID.
func mark(id asn1.ObjectIdentifier) []pkix.Extension {
	if id == nil {
		return nil
	}
	return []pkix.Extension{{Id: id, Value: asn1.NullBytes}}
}
