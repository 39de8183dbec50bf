package keys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// maxDocument is the largest document that is read. Sets of keys have a few KiB.
const maxDocument = 256 << 10

// The bounds of what a publisher says of how long its keys may be kept, and what holds
// where it says nothing.
const (
	minFresh     = time.Minute
	maxFresh     = 24 * time.Hour
	defaultFresh = time.Hour
)

// fetcher gets documents over HTTP. It goes through the proxy that the environment names
// (HTTPS_PROXY, NO_PROXY).
type fetcher struct{ client *http.Client }

func newFetcher(ca string) (fetcher, error) {
	secure := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return fetcher{}, fmt.Errorf("ca: %w", err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return fetcher{}, fmt.Errorf("ca: %s holds no certificate in PEM", ca)
		}
	}
	return fetcher{&http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        secure,
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      true, // hours pass between two fetches
			MaxResponseHeaderBytes: 64 << 10,
		},
		// Whoever can redirect a publisher's address must not choose the keys.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// fetch gets a document and says how long it may be kept.
func (f fetcher) fetch(ctx context.Context, url string) (document []byte, lifetime time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", "caddy-webhook-guard")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, 0, fmt.Errorf("the answer is a redirect (%d), and none is followed: write the URL that holds the keys", resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return nil, 0, fmt.Errorf("the answer has the status %d", resp.StatusCode)
	case !isJSON(resp.Header.Get("Content-Type")):
		return nil, 0, errors.New("the answer is not JSON, as its Content-Type says")
	}
	document, err = io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("reading the answer: %w", err)
	case len(document) > maxDocument:
		return nil, 0, fmt.Errorf("the answer has more than %d KiB", maxDocument>>10)
	}
	return document, lifetimeOf(resp.Header), nil
}

func isJSON(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && (mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json"))
}

// lifetimeOf reads how long an answer may be kept (RFC 9111 section 4.2), within bounds.
func lifetimeOf(header http.Header) time.Duration {
	lifetime := defaultFresh
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		if expires, err := http.ParseTime(header.Get("Expires")); err == nil {
			lifetime = expires.Sub(date)
		}
	}
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minFresh
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				lifetime = time.Duration(seconds) * time.Second
			}
		}
	}
	if age, err := strconv.ParseUint(header.Get("Age"), 10, 31); err == nil {
		lifetime -= time.Duration(age) * time.Second
	}
	return min(max(lifetime, minFresh), maxFresh)
}
