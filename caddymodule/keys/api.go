package keys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	neturl "net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// API asks a sender's API for its keys, one by one, with the credentials of the sender's
// customer. It is safe for concurrent use.
type API struct {
	client      *Client
	at          *config.KeyAPI
	credentials func() []string

	mu    sync.Mutex
	token *oauth2.Token // with oauth; nil until there is one
	of    [2]string     // the credentials that it was given for
}

// NewAPI makes an API. credentials are those in force: as many as the API takes.
func NewAPI(client *Client, at *config.KeyAPI, credentials func() []string) *API {
	return &API{client: client, at: at, credentials: credentials}
}

// errRefused is an answer that says that the credentials are not good, or the request. Some
// senders have one status for both.
var errRefused = errors.New("the sender's API refuses the request: are the credentials in the line keys_secret those that it knows?")

// refusals are the statuses of such answers.
var refusals = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}

// Fetch gets the document with the key of this ID, which has been checked.
func (a *API) Fetch(keyID string) Fetch {
	return func(ctx context.Context) ([]byte, time.Duration, error) {
		document, lifetime, err := a.ask(ctx, keyID)
		if isStatus(err, http.StatusUnauthorized) && a.forgetToken() {
			// The sender may have ended the token before its time.
			document, lifetime, err = a.ask(ctx, keyID)
		}
		switch {
		case a.isUnknown(err):
			return nil, 0, fmt.Errorf("%w: %w", ErrUnknownKey, err)
		case isStatus(err, refusals...) && !errors.Is(err, errRefused):
			return nil, 0, fmt.Errorf("%w: %w", errRefused, err)
		}
		return document, lifetime, err
	}
}

// isUnknown reports whether an answer says that there is no such key.
func (a *API) isUnknown(err error) bool {
	var status *StatusError
	if gone(err) || a.at.Unknown == "" || !errors.As(err, &status) {
		return gone(err)
	}
	return status.Status == http.StatusBadRequest && bytes.Contains(status.answer, []byte(`"`+a.at.Unknown+`"`))
}

func (a *API) ask(ctx context.Context, keyID string) ([]byte, time.Duration, error) {
	req, err := a.request(ctx, keyID)
	if err != nil {
		return nil, 0, err
	}
	return a.client.Do(req, isJSON)
}

// request makes the request for a key.
func (a *API) request(ctx context.Context, keyID string) (*http.Request, error) {
	credentials := a.credentials()
	if len(credentials) != len(a.at.Credentials()) {
		return nil, errors.New("the credentials are missing") // checked when the configuration loads
	}
	url := a.at.At(keyID)
	if a.at.Auth == config.AuthBody {
		return post(ctx, url, a.at.Fields, append([]string{keyID}, credentials...))
	}
	req, err := newRequest(ctx, url, "application/json")
	if err != nil || a.at.Auth == "" {
		return req, err
	}
	bearer := credentials[0]
	if a.at.Auth == config.AuthOAuth {
		if bearer, err = a.accessToken(ctx, [2]string(credentials)); err != nil {
			return nil, err
		}
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	return req, nil
}

// post makes a request with a JSON object of these fields.
func post(ctx context.Context, url string, fields, values []string) (*http.Request, error) {
	object := make(map[string]string, len(fields))
	for i, field := range fields {
		object[field] = values[i]
	}
	body, err := json.Marshal(object)
	if err != nil {
		return nil, errors.New("the request cannot be written") // the error would hold the values
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

// accessToken is a token for the client's credentials (RFC 6749 section 4.4), which is used
// until shortly before its end. Whoever else needs one waits.
func (a *API) accessToken(ctx context.Context, credentials [2]string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token.Valid() && a.of == credentials {
		return a.token.AccessToken, nil
	}
	asked := clientcredentials.Config{
		ClientID: credentials[0], ClientSecret: credentials[1], TokenURL: a.at.TokenURL, Scopes: []string{a.at.Scope}, AuthStyle: oauth2.AuthStyleInHeader,
	}
	token, err := asked.Token(context.WithValue(ctx, oauth2.HTTPClient, a.client.client))
	if err != nil {
		return "", tokenError(a.at.TokenURL, err)
	}
	a.token, a.of = token, credentials
	return token.AccessToken, nil
}

// tokenError says why there is no token. The library's own error would quote the answer.
func tokenError(url string, err error) error {
	var unreachable *neturl.Error
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &unreachable):
		return fmt.Errorf("the access token: %w", unreachable)
	case !errors.As(err, &refused) || refused.Response == nil:
		return fmt.Errorf("the access token: the answer of %s has none", url)
	}
	problem := &StatusError{Status: refused.Response.StatusCode}
	if isStatus(problem, refusals...) {
		return fmt.Errorf("%w: the access token at %s: %w", errRefused, url, problem)
	}
	return fmt.Errorf("the access token at %s: %w", url, problem)
}

// forgetToken reports whether there was a token.
func (a *API) forgetToken() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	had := a.token != nil
	a.token = nil
	return had
}
