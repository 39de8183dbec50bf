package config

import (
	"cmp"
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

	// The URL of a list of keys in another shape, in place of a set.
	List string `json:"list,omitempty"`

	// Where the keys of that list are.
	In *signature.KeyList `json:"in,omitempty"`

	// A file with the certificates, in PEM, of the authorities that may vouch for the
	// server, where they are not the system's.
	CA string `json:"ca,omitempty"`
}

func parseKeys(p *Provider, args []string) error {
	keys := &KeySource{}
	args, keys.CA = cutCA(args)
	switch {
	case len(args) == 2 && args[0] == "jwks":
		keys.JWKS = args[1]
	case len(args) == 5 && args[0] == "list":
		keys.List, keys.In = args[1], &signature.KeyList{List: args[2], ID: args[3], Key: args[4]}
	default:
		return usage("names a kind and a URL")
	}
	p.Keys = keys
	return checkKeysURL(keys.URL())
}

// cutCA takes the words ca <file> off the end of a line.
func cutCA(args []string) (rest []string, ca string) {
	if n := len(args) - 2; n > 1 && args[n] == "ca" {
		return args[:n], args[n+1]
	}
	return args, ""
}

// URL is where the keys are.
func (k *KeySource) URL() string { return cmp.Or(k.JWKS, k.List) }

// Words are those of the line after its name.
func (k *KeySource) Words() []string {
	words := []string{"jwks", k.JWKS}
	if k.In != nil {
		words = []string{"list", k.List, k.In.List, k.In.ID, k.In.Key}
	}
	if k.CA != "" {
		words = append(words, "ca", k.CA)
	}
	return words
}

// Parse reads the keys of a fetched document.
func (k *KeySource) Parse(scheme *signature.Scheme, document []byte) ([]signature.Secret, error) {
	if k.In != nil {
		return signature.NewKeyList(scheme, *k.In, document)
	}
	return signature.NewKeySet(scheme, document)
}

// resolve checks the source, which may be missing.
func (k *KeySource) resolve(scheme *signature.Scheme) (*KeySource, error) {
	switch {
	case k == nil:
		return nil, nil
	case !scheme.Asymmetric():
		return nil, errors.New("nothing is verified with a public key: the signature line needs an algorithm such as rsa-sha256 or ed25519")
	case (k.List != "") != (k.In != nil), k.JWKS != "" && k.List != "":
		return nil, errors.New("the keys are a JWKS, or a list of which it is said where the keys are in it")
	case k.In != nil:
		for _, path := range []string{k.In.List, k.In.ID, k.In.Key} {
			if err := (signature.Source{Kind: signature.SourceBody, Name: path}).Check(); err != nil {
				return nil, err
			}
		}
	}
	return k, checkKeysURL(k.URL())
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
