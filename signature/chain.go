package signature

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Chain is what the certificates have to be that a token brings along (x5c, RFC 7515 section
// 4.1.6): its signer's, its issuer's and the root's, exactly these three.
type Chain struct {
	// Roots are the certificates, in PEM, of which the third has to be one.
	Roots []byte
	// Leaf and Intermediate are the OIDs of extensions that the first and the second must
	// have; empty where nothing marks them.
	Leaf, Intermediate string
}

// chainLength is how many certificates a token has.
const chainLength = 3

// maxChainRSA bounds the keys of certificates that nobody has checked yet, in bits: one of
// a hundred thousand takes seconds.
const maxChainRSA = 4096

// chain is a checked Chain.
type chain struct {
	roots              []*x509.Certificate
	pool               *x509.CertPool
	leaf, intermediate asn1.ObjectIdentifier
}

// NewChainKey makes a key that stands for whichever key the certificates in a token vouch
// for. It verifies tokens only.
func NewChainKey(c Chain) (*Key, error) {
	made := &chain{pool: x509.NewCertPool()}
	for rest := c.Roots; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" || !root.IsCA {
			return nil, errors.New("the roots hold something else than certificates of authorities in PEM")
		}
		made.roots = append(made.roots, root)
		made.pool.AddCert(root)
	}
	if len(made.roots) == 0 {
		return nil, errors.New("the roots hold no certificate in PEM")
	}
	for _, id := range []struct {
		text string
		to   *asn1.ObjectIdentifier
	}{{c.Leaf, &made.leaf}, {c.Intermediate, &made.intermediate}} {
		var err error
		if *id.to, err = parseOID(id.text); err != nil {
			return nil, err
		}
	}
	return &Key{chain: made}, nil
}

// CheckOID refuses what is not the ID of an extension, as 1.2.840.113635.100.6.11.1 is.
func CheckOID(text string) error {
	_, err := parseOID(text)
	return err
}

// parseOID reads an OID; none for the empty text.
func parseOID(text string) (asn1.ObjectIdentifier, error) {
	if text == "" {
		return nil, nil
	}
	var id asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseUint(arc, 10, 31)
		if err != nil || strconv.FormatUint(n, 10) != arc {
			return nil, fmt.Errorf("%q is not an OID, such as 1.2.840.113635.100.6.11.1", text)
		}
		id = append(id, int(n))
	}
	if len(id) < 2 {
		return nil, fmt.Errorf("%q is not an OID, such as 1.2.840.113635.100.6.11.1", text)
	}
	return id, nil
}

// verify returns the first certificate, once all three are what they have to be. They have
// to be valid at the time when the token was signed: a certificate may end while retries of
// what it signed are under way.
func (c *chain) verify(header []byte, at time.Time) (*x509.Certificate, error) {
	var brought struct {
		X5C [][]byte `json:"x5c"`
	}
	if err := json.Unmarshal(header, &brought); err != nil || len(brought.X5C) != chainLength {
		return nil, fmt.Errorf("the token does not bring %d certificates along (x5c)", chainLength)
	}
	var certs [chainLength]*x509.Certificate
	for i, der := range brought.X5C {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the token cannot be read", i+1)
		}
		if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxChainRSA {
			return nil, fmt.Errorf("certificate %d of the token has a key of more than %d bits", i+1, maxChainRSA)
		}
		certs[i] = cert
	}
	leaf, intermediate, root := certs[0], certs[1], certs[2]
	switch {
	case !slices.ContainsFunc(c.roots, func(pinned *x509.Certificate) bool { return sameAuthority(pinned, root) }):
		return nil, errors.New("the third certificate of the token is not the root that is configured")
	case !hasExtension(leaf, c.leaf):
		return nil, fmt.Errorf("the first certificate of the token is not marked with %s", c.leaf)
	case !hasExtension(intermediate, c.intermediate):
		return nil, fmt.Errorf("the second certificate of the token is not marked with %s", c.intermediate)
	}
	between := x509.NewCertPool()
	between.AddCert(intermediate)
	paths, err := leaf.Verify(x509.VerifyOptions{
		Roots: c.pool, Intermediates: between, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			return nil, errors.New("a certificate of the token was not valid when the token was signed")
		}
		return nil, errors.New("the certificates of the token do not lead to the root that is configured")
	}
	if !slices.ContainsFunc(paths, func(path []*x509.Certificate) bool {
		return len(path) == chainLength && path[1].Equal(intermediate) && sameAuthority(path[2], root)
	}) {
		return nil, errors.New("the first certificate of the token was not issued with the second")
	}
	return leaf, nil
}

// sameAuthority reports whether two certificates are of one name and key: an authority can
// issue its own anew.
func sameAuthority(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubject, b.RawSubject) && bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo)
}

func hasExtension(cert *x509.Certificate, id asn1.ObjectIdentifier) bool {
	if id == nil {
		return true
	}
	for _, extension := range cert.Extensions {
		if extension.Id.Equal(id) {
			return true
		}
	}
	return false
}

// keyOf is the key that a group's signature is verified with: the secret's, or the one that
// the token's certificates vouch for.
func (m *matcher) keyOf(key *Key, p *Parts) (*Key, error) {
	if key.chain == nil {
		return key, nil
	}
	// What the token says of the time is not verified yet. Whoever signs for another time
	// is refused by that, once it is.
	stamp := m.scheme.spec.Timestamp
	if stamp == nil {
		return nil, refuse(SignatureInvalid, "nothing says when the token was signed")
	}
	v := m.scheme.stampSource.readPart(m.r, p, "")
	at, err := ParseStamp(v.Text, stamp.Format)
	if err != nil || single(v) == "" {
		return nil, refuse(SignatureInvalid, "the token does not say when it was signed, so its certificates cannot be judged")
	}
	head, _, _ := strings.Cut(p.token, ".")
	header, problem := decodeTokenPart(head)
	if problem != "" {
		return nil, refuse(SignatureInvalid, "the token has a header that %s", problem)
	}
	leaf, err := key.chain.verify(header, at)
	if err != nil {
		return nil, refuse(SignatureInvalid, "%s", err)
	}
	made, err := publicKeyOf(leaf.PublicKey)
	if err == nil {
		err = checkKey(m.scheme.lines, made)
	}
	if err != nil {
		return nil, refuse(SignatureInvalid, "the first certificate of the token: %s", err)
	}
	return made, nil
}
