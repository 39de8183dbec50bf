package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// KeySource is where a sender's public keys are fetched. Nothing in a request changes it:
// what a token says about the places of keys is ignored.
type KeySource struct {
	// The URL of the set of keys (JWKS, RFC 7517): https, or http to a loopback address.
	// Redirects are not followed.
	JWKS string `json:"jwks,omitempty"`

	// A file with the certificates, in PEM, of the authorities that may vouch for the
	// server, where they are not the system's.
	CA string `json:"ca,omitempty"`
}

func parseKeys(p *Provider, args []string) error {
	keys := &KeySource{}
	switch {
	case args[0] != "jwks" || len(args) < 2:
		return usage("names a kind and a URL")
	case len(args) == 4 && args[2] == "ca":
		keys.CA = args[3]
	case len(args) > 2:
		return usage("not understood")
	}
	keys.JWKS = args[1]
	p.Keys = keys
	return checkKeysURL(keys.JWKS)
}

func (k *KeySource) words() []string {
	words := []string{"jwks", k.JWKS}
	if k.CA != "" {
		words = append(words, "ca", k.CA)
	}
	return words
}

// resolve checks the source, which may be missing.
func (k *KeySource) resolve(scheme *signature.Scheme) (*KeySource, error) {
	switch {
	case k == nil:
		return nil, nil
	case !scheme.Asymmetric():
		return nil, errors.New("nothing is verified with a public key: the signature line needs an algorithm such as rsa-sha256 or ed25519")
	}
	return k, checkKeysURL(k.JWKS)
}

// checkKeysURL refuses a URL that anyone on the way could answer for, or that does not
// lead where it seems to.
func checkKeysURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return errors.New("name the URL of the keys: keys jwks https://…")
	case err != nil || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("%q is not a URL: write https://<host>/<path>", text)
	case strings.ContainsAny(text, "{}\\"):
		return fmt.Errorf("%q holds a placeholder or a backslash: the URL is fixed and written out", text)
	case u.User != nil:
		return errors.New("the URL holds a user, which no public key needs")
	case u.Fragment != "":
		return fmt.Errorf("%q has a fragment, which is not sent: leave out what follows the #", text)
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q is not https, so that anyone on the way could give another key; http is for loopback addresses", text)
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || host == "localhost"
}
