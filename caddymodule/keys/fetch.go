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
	"net/url"
	"os"
	"slices"
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

// Fetch gets the document of a [Source], and says how long it may be kept.
type Fetch func(ctx context.Context) (document []byte, lifetime time.Duration, err error)

// Client gets documents over HTTP. It goes through the proxy that the environment names
// (HTTPS_PROXY, NO_PROXY). Redirects are not followed.
type Client struct{ client *http.Client }

// NewClient makes a client. ca is a file with the certificates that vouch for servers; empty:
// the system's.
func NewClient(ca string) (*Client, error) {
	roots, err := ReadRoots(ca)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	return &Client{&http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      true, // hours pass between two fetches
			MaxResponseHeaderBytes: 64 << 10,
		},
		// Whoever can redirect a publisher's address must not choose the keys.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// ReadRoots reads the authorities in a file of PEM. It is nil, for the system's, where there
// is no file.
func ReadRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return roots, nil
}

// JSON fetches a document that is JSON.
func (c *Client) JSON(address string) Fetch {
	return func(ctx context.Context) ([]byte, time.Duration, error) {
		req, err := newRequest(ctx, address, "application/jwk-set+json, application/json")
		if err != nil {
			return nil, 0, err
		}
		return c.Do(req, isJSON)
	}
}

func newRequest(ctx context.Context, address, accept string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	return req, nil
}

// maxProblem is how much is read of an answer that is none.
const maxProblem = 16 << 10

// StatusError is an answer that holds no document.
type StatusError struct {
	Status int
	answer []byte // the beginning of it; not for logs
}

func (s *StatusError) Error() string { return fmt.Sprintf("the answer has the status %d", s.Status) }

// isStatus reports whether an answer has one of these statuses.
func isStatus(err error, statuses ...int) bool {
	var problem *StatusError
	return errors.As(err, &problem) && slices.Contains(statuses, problem.Status)
}

// gone reports whether an answer says that there is no such document.
func gone(err error) bool { return isStatus(err, http.StatusNotFound, http.StatusGone) }

// Do sends a request and reads the document in the answer. isWanted judges its Content-Type,
// and returns what is wrong with it.
func (c *Client) Do(req *http.Request, isWanted func(contentType string) error) (document []byte, lifetime time.Duration, err error) {
	req.Header.Set("User-Agent", "caddy-webhook-guard")
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return nil, 0, fmt.Errorf("the answer is a redirect (%d), and none is followed: write the URL that holds the keys", resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
		return nil, 0, &StatusError{resp.StatusCode, answer}
	}
	if err := isWanted(resp.Header.Get("Content-Type")); err != nil {
		return nil, 0, err
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

func isJSON(contentType string) error {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err == nil && (mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json")) {
		return nil
	}
	return errors.New("the answer is not JSON, as its Content-Type says")
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

// Call sends a request whose answer has nothing to read, and has to be 200. Its errors do not
// hold the URL, which may hold a token.
func (c *Client) Call(ctx context.Context, address string) error {
	req, err := newRequest(ctx, address, "*/*")
	if err != nil {
		return errors.New("the URL cannot be called")
	}
	_, _, err = c.Do(req, func(string) error { return nil })
	if failed := (*url.Error)(nil); errors.As(err, &failed) {
		return failed.Err
	}
	return err
}
