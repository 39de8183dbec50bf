package keys

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// maxIssuers bounds the certificates that are fetched to complete one chain.
const maxIssuers = 3

// Certificates fetches the certificate at a URL, in PEM. Senders publish theirs without those
// of its issuers: these are fetched from where the certificate says, if that is allowed, and
// follow it in the document. A document that a publisher says it does not have is
// [ErrUnknownKey].
func (c *Client) Certificates(url string, rules signature.CertificateRules, isIssuer func(url string) bool) Fetch {
	return func(ctx context.Context) ([]byte, time.Duration, error) {
		req, err := newRequest(ctx, url, "application/x-pem-file, application/pem-certificate-chain, */*")
		if err != nil {
			return nil, 0, err
		}
		document, lifetime, err := c.Do(req, mayBeCertificate)
		if gone(err) {
			return nil, 0, fmt.Errorf("%w: %w", ErrUnknownKey, err)
		}
		if err != nil {
			return nil, 0, err
		}
		document, err = c.withIssuers(ctx, document, rules, isIssuer)
		return document, lifetime, err
	}
}

// withIssuers appends the certificates of issuers that are missing.
func (c *Client) withIssuers(ctx context.Context, document []byte, rules signature.CertificateRules, isIssuer func(url string) bool) ([]byte, error) {
	for range maxIssuers {
		chain, err := signature.ParseCertificates(document)
		if err != nil {
			return nil, err
		}
		unknown := x509.UnknownAuthorityError{}
		if err := rules.Check(chain, time.Now()); !errors.As(err, &unknown) {
			return document, nil // what else is wrong with it is found by whoever reads it
		}
		places := chain[len(chain)-1].IssuingCertificateURL
		if len(places) == 0 || !isIssuer(places[0]) {
			return document, nil
		}
		issuer, err := c.issuer(ctx, places[0])
		if err != nil {
			return nil, fmt.Errorf("the certificate's issuer at %s: %w", places[0], err)
		}
		document = append(append(bytes.TrimSpace(document), '\n'), issuer...)
	}
	return document, nil
}

// issuer fetches the certificate of an issuer, which is in DER as a rule (RFC 5280 section
// 4.2.2.1), and returns it in PEM. Whether it can be trusted is for the chain to show.
func (c *Client) issuer(ctx context.Context, url string) ([]byte, error) {
	req, err := newRequest(ctx, url, "application/pkix-cert, */*")
	if err != nil {
		return nil, err
	}
	document, _, err := c.Do(req, mayBeCertificate)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(document), []byte("-----BEGIN")) {
		return document, nil
	}
	if _, err := x509.ParseCertificate(document); err != nil {
		return nil, errors.New("the answer is not a certificate")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: document}), nil
}

// mayBeCertificate refuses what is certainly something else. Publishers give certificates all
// kinds of types.
func mayBeCertificate(contentType string) error {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err == nil && (isJSON(contentType) == nil || strings.HasPrefix(mediaType, "text/html") || strings.HasSuffix(mediaType, "xml") ||
		strings.HasPrefix(mediaType, "image/") || strings.HasPrefix(mediaType, "multipart/")) {
		return fmt.Errorf("the answer is not a certificate, as its Content-Type %s says", mediaType)
	}
	return nil
}
