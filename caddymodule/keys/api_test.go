package keys

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// provider is a sender's API with access tokens.
type provider struct {
	*httptest.Server
	tokens  atomic.Int64
	revoked atomic.Int64 // tokens up to this one are not good any more
	status  atomic.Int64 // of answers to requests for keys; 0: as they deserve
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/token" {
			id, secret, _ := r.BasicAuth()
			if secret != "good" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = fmt.Fprintf(w, `{"access_token":"%s-%d","expires_in":7200}`, id, p.tokens.Add(1))
			return
		}
		var n int64
		_, err := fmt.Sscanf(strings.Replace(r.Header.Get("Authorization"), "-", " ", 1), "Bearer id %d", &n)
		switch status := p.status.Load(); {
		case status != 0:
			w.WriteHeader(int(status))
			_, _ = w.Write([]byte(`{"error_code":"NO_KEY"}`))
		case err != nil || n <= p.revoked.Load():
			w.WriteHeader(http.StatusUnauthorized)
		default:
			_, _ = fmt.Fprintf(w, `{"key":%q}`, r.URL.Path)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) api(t *testing.T, credentials func() []string) *API {
	t.Helper()
	client, err := NewClient("")
	if err != nil {
		t.Fatal(err)
	}
	return NewAPI(client, &config.KeyAPI{
		URL: p.URL + "/keys/" + config.KeyIDPlaceholder, Key: "key", Auth: config.AuthOAuth, TokenURL: p.URL + "/token", Scope: "s", Unknown: "NO_KEY",
	}, credentials)
}

func good() []string { return []string{"id", "good"} }

func wantDocument(t *testing.T, a *API, keyID string) {
	t.Helper()
	document, _, err := a.Fetch(keyID)(t.Context())
	if want := `{"key":"/keys/` + keyID + `"}`; err != nil || string(document) != want {
		t.Errorf("%s: %q, %v", keyID, document, err)
	}
}

func TestOneAccessTokenIsForAllKeys(t *testing.T) {
	p := newProvider(t)
	a := p.api(t, good)
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() { wantDocument(t, a, fmt.Sprintf("k%d", i)) })
	}
	group.Wait()
	if n := p.tokens.Load(); n != 1 {
		t.Errorf("%d tokens, want one", n)
	}
	p.revoked.Store(1)
	wantDocument(t, a, "k1")
	wantDocument(t, a, "k2")
	if n := p.tokens.Load(); n != 2 {
		t.Errorf("%d tokens, want two", n)
	}
	p.revoked.Store(1000)
	if _, _, err := a.Fetch("k1")(t.Context()); !errors.Is(err, errRefused) || p.tokens.Load() != 3 {
		t.Errorf("%v after %d tokens", err, p.tokens.Load())
	}
}

// A token is that of the credentials in force.
func TestOtherCredentialsHaveATokenOfTheirOwn(t *testing.T) {
	p := newProvider(t)
	credentials := good()
	a := p.api(t, func() []string { return credentials })
	wantDocument(t, a, "k1")
	credentials = []string{"id", "hush"}
	_, _, err := a.Fetch("k1")(t.Context())
	if !errors.Is(err, errRefused) || strings.Contains(err.Error(), "hush") {
		t.Errorf("wrong credentials: %v", err)
	}
	credentials = good()
	wantDocument(t, a, "k1")
}

func TestWhatAnAPISaysOfAKey(t *testing.T) {
	p := newProvider(t)
	a := p.api(t, good)
	for status, want := range map[int64]error{404: ErrUnknownKey, 410: ErrUnknownKey, 400: ErrUnknownKey, 403: errRefused} {
		p.status.Store(status)
		if _, _, err := a.Fetch("k1")(t.Context()); !errors.Is(err, want) {
			t.Errorf("%d: %v", status, err)
		}
	}
	a.at.Unknown = "ANOTHER"
	p.status.Store(400)
	if _, _, err := a.Fetch("k1")(t.Context()); !errors.Is(err, errRefused) {
		t.Errorf("400 without the word: %v", err)
	}
	for _, status := range []int64{302, 429, 500, 503} {
		p.status.Store(status)
		if _, _, err := a.Fetch("k1")(t.Context()); err == nil || errors.Is(err, ErrUnknownKey) || errors.Is(err, errRefused) {
			t.Errorf("%d: %v", status, err)
		}
	}
}
