package config

import (
	"net/url"
	"strings"
)

// PublicURL is the URL that is registered with a sender that signs it. Its parts are text
// as it was written: senders sign that text. It has no query, which is always the
// request's own.
type PublicURL struct {
	Scheme, Credentials, Host string

	// Path is empty where the request's own counts.
	Path string

	// Fragment is what follows the #. Clients do not send it, and few senders sign it.
	Fragment string
}

// ParsePublicURL reads a public_url line whose placeholders are resolved. Its errors do
// not hold the text, which may have a password in it.
func ParsePublicURL(text string) (*PublicURL, error) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" {
		return nil, lineError("public_url", "write the URL as it is registered with the sender, https://host/path, or only https://host")
	}
	scheme, rest, _ := strings.Cut(text, "://")
	u := &PublicURL{Scheme: scheme}
	rest, u.Fragment, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	authority, path, slash := strings.Cut(rest, "/")
	if slash && path != "" {
		u.Path = "/" + path
	}
	at := strings.LastIndexByte(authority, '@')
	u.Host = authority[at+1:]
	if at > 0 {
		u.Credentials = authority[:at]
	}
	return u, nil
}
