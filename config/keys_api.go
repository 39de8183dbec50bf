package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// KeyAPI is a sender's API that answers with one public key for its ID, to whoever has the
// credentials of the sender's customer: the guard's own `keys_secret`.
type KeyAPI struct {
	// The URL. The ID of the key takes the place of {key_id}, a whole segment of its path.
	URL string `json:"url,omitempty"`

	// The path of the key in the answer: a JSON Web Key, or a text as public_key takes it.
	Key string `json:"key,omitempty"`

	// How the credentials are sent: `bearer`, `body` or `oauth`. Default: there are none.
	Auth string `json:"auth,omitempty"`

	// With `body`, the names of the fields of the JSON that is posted: that of the key's ID,
	// and then those of the credentials.
	Fields []string `json:"fields,omitempty"`

	// With `oauth`, the URL of the token endpoint, and the scope that is asked for (RFC 6749
	// section 4.4).
	TokenURL string `json:"token_url,omitempty"`
	Scope    string `json:"scope,omitempty"`

	// The word in an answer with the status 400 that says that there is no such key. The
	// statuses 404 and 410 say it by themselves.
	Unknown string `json:"unknown,omitempty"`
}

// The ways to send credentials.
const (
	AuthBearer = "bearer"
	AuthBody   = "body"
	AuthOAuth  = "oauth"
)

// KeyIDPlaceholder stands for the ID of a key in the URL of a [KeyAPI].
const KeyIDPlaceholder = "{key_id}"

// parseKeyAPI reads what follows the words keys api.
func parseKeyAPI(k *KeySource, args []string) (rest []string, err error) {
	if len(args) < 2 {
		return nil, usage("names a URL and the path of the key in the answer")
	}
	api := &KeyAPI{URL: args[0], Key: args[1]}
	for args = args[2:]; len(args) > 0; args = rest {
		word := args[0]
		rest = args[1:]
		switch {
		case word == "unknown" && len(rest) > 0 && api.Unknown == "":
			api.Unknown, rest = rest[0], rest[1:]
			continue
		case api.Auth != "" || word != AuthBearer && word != AuthBody && word != AuthOAuth:
			k.API = api
			return args, api.check()
		}
		api.Auth = word
		switch {
		case word == AuthOAuth && len(rest) > 1:
			api.TokenURL, api.Scope, rest = rest[0], rest[1], rest[2:]
		case word == AuthOAuth:
			return nil, usage("oauth names the URL of the token endpoint, and a scope")
		case word == AuthBody:
			for len(rest) > 0 && rest[0] != "unknown" && rest[0] != "ca" {
				api.Fields, rest = append(api.Fields, rest[0]), rest[1:]
			}
		}
	}
	k.API = api
	return nil, api.check()
}

func (a *KeyAPI) words() []string {
	words := append([]string{a.URL, a.Key}, withoutEmpty(a.Auth)...)
	switch a.Auth {
	case AuthBody:
		words = append(words, a.Fields...)
	case AuthOAuth:
		words = append(words, a.TokenURL, a.Scope)
	}
	if a.Unknown != "" {
		words = append(words, "unknown", a.Unknown)
	}
	return words
}

// Credentials are the names of those that the API takes, in the order of the keys_secret line.
func (a *KeyAPI) Credentials() []string {
	switch a.Auth {
	case AuthBearer:
		return []string{"api_key"}
	case AuthBody:
		return a.Fields[1:]
	case AuthOAuth:
		return []string{"client_id", "client_secret"}
	}
	return nil
}

// Takes reports whether a text can be the ID of a key. It has no character that means
// anything in a URL but a dot, and a segment of dots would be another path.
func (a *KeyAPI) Takes(keyID string) bool { return strings.Trim(keyID, ".") != "" }

// At is the URL for one key.
func (a *KeyAPI) At(keyID string) string {
	return strings.Replace(a.URL, KeyIDPlaceholder, url.PathEscape(keyID), 1)
}

func (a *KeyAPI) check() error {
	if err := (signature.Source{Kind: signature.SourceBody, Name: a.Key}).Check(); err != nil {
		return err
	}
	before, after, inURL := strings.Cut(a.URL, KeyIDPlaceholder)
	if inURL && (!strings.HasSuffix(before, "/") || after != "" && !strings.HasPrefix(after, "/") && !strings.HasPrefix(after, "?") || strings.Contains(before, "?")) {
		return fmt.Errorf("%q: {key_id} is a whole segment of the path, between two slashes", a.URL)
	}
	if err := checkKeysURL(before + "id" + after); err != nil {
		return err
	}
	if u, err := url.Parse(before); inURL && (err != nil || u.Host == "" || u.Path == "") {
		return fmt.Errorf("%q: {key_id} is a segment of the path, and not of the host", a.URL)
	}
	switch {
	case inURL == (a.Auth == AuthBody):
		return errors.New("the ID of the key is in the URL, {key_id}, or in the body that is posted: body <field of the ID> …")
	case a.Auth == AuthBody && len(a.Fields) == 0:
		return errors.New("body names the field of the key's ID, and then those of the credentials")
	case a.Auth == AuthBody && slices.Contains(a.Fields, ""):
		return errors.New("a field of the body has no name")
	case a.Auth == AuthOAuth:
		return checkKeysURL(a.TokenURL)
	case a.Auth != "" && a.Auth != AuthBearer && a.Auth != AuthBody:
		return fmt.Errorf("%q is no way to send credentials: there are bearer, body and oauth", a.Auth)
	}
	return nil
}
