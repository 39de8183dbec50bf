package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// KeySource is where a sender's public keys are fetched: one of `jwks`, `list`, `x509` and
// `api`. Nothing in a request changes it: what a token says about the places of keys is
// ignored.
type KeySource struct {
	// The URL of the set of keys (JWKS, RFC 7517): https, or http to a loopback address.
	// Redirects are not followed.
	JWKS string `json:"jwks,omitempty"`

	// The URL of a list of keys in another shape, in place of a set.
	List string `json:"list,omitempty"`

	// Where the keys of that list are.
	In *signature.KeyList `json:"in,omitempty"`

	// The certificates that requests name by their URL.
	X509 *Certificates `json:"x509,omitempty"`

	// The sender's API that gives one key for its ID.
	API *KeyAPI `json:"api,omitempty"`

	// A file with the certificates, in PEM, of the authorities that may vouch for the
	// server, where they are not the system's.
	CA string `json:"ca,omitempty"`

	// A file with the certificates, in PEM, of the authorities that may vouch for the
	// sender's certificates, where they are not the system's.
	Roots string `json:"roots,omitempty"`

	// In place of all these: where the certificates lead that each token brings along.
	X5C *X5C `json:"x5c,omitempty"`
}

// keyWords read the words of a keys line, after the first, which is the kind.
var keyWords = map[string]func(k *KeySource, args []string) (rest []string, err error){
	"jwks": func(k *KeySource, args []string) ([]string, error) {
		if len(args) == 0 {
			return nil, usage("names a kind and a URL")
		}
		k.JWKS = args[0]
		return args[1:], checkKeysURL(k.JWKS)
	},
	"list": func(k *KeySource, args []string) ([]string, error) {
		if len(args) < 4 {
			return nil, usage("names a URL, and where the keys are")
		}
		k.List, k.In = args[0], &signature.KeyList{List: args[1], ID: args[2], Key: args[3]}
		return args[4:], checkKeysURL(k.List)
	},
	"x509":  parseX509,
	"x5c":   parseX5C,
	"api":   parseKeyAPI,
	"ca":    parseKeysFile(func(k *KeySource) *string { return &k.CA }),
	"roots": parseKeysFile(func(k *KeySource) *string { return &k.Roots }),
}

func parseKeys(p *Provider, args []string) error {
	keys := &KeySource{}
	for first := true; len(args) > 0; first = false {
		parse, ok := keyWords[args[0]]
		if kind := args[0] != "ca" && args[0] != "roots"; !ok || kind && !first {
			return usage("not understood")
		}
		var err error
		if args, err = parse(keys, args[1:]); err != nil {
			return err
		}
	}
	p.Keys = keys
	return nil
}

func parseKeysFile(field func(*KeySource) *string) func(*KeySource, []string) ([]string, error) {
	return func(k *KeySource, args []string) ([]string, error) {
		if len(args) == 0 || *field(k) != "" {
			return nil, usage("takes one file")
		}
		*field(k) = args[0]
		return args[1:], nil
	}
}

// Words are those of the line.
func (k *KeySource) Words() (words []string) {
	if k.JWKS != "" {
		words = append(words, "jwks", k.JWKS)
	}
	if k.In != nil {
		words = append(words, "list", k.List, k.In.List, k.In.ID, k.In.Key)
	}
	if k.X509 != nil {
		words = append(append(words, "x509"), k.X509.words()...)
	}
	if k.X5C != nil {
		words = append(append(words, "x5c"), k.X5C.words()...)
	}
	if k.API != nil {
		words = append(append(words, "api"), k.API.words()...)
	}
	for _, file := range [][]string{{"roots", k.Roots}, {"ca", k.CA}} {
		if file[1] != "" {
			words = append(words, file...)
		}
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

// URL is where the keys of a set or list are.
func (k *KeySource) URL() string { return cmp.Or(k.JWKS, k.List) }

// over lays the files of a guard's own line over those of the entry, where it says nothing
// of the kind.
func (k *KeySource) over(base *KeySource) *KeySource {
	if k == nil || base == nil || k.URL() != "" || k.X509 != nil || k.API != nil {
		return k
	}
	if k.X5C != nil {
		return k.keepMarks(base)
	}
	made := *base
	for _, file := range []struct{ own, made *string }{{&k.CA, &made.CA}, {&k.Roots, &made.Roots}} {
		if *file.own != "" {
			*file.made = *file.own
		}
	}
	return &made
}

// Name is where a request names its certificate, and a name that it may give; none where it
// names no certificate.
func (k *KeySource) Name() (place signature.Source, example string) {
	if k == nil || k.X509 == nil || len(k.X509.Allowed) == 0 {
		return signature.Source{}, ""
	}
	return k.X509.URL, strings.ReplaceAll(k.X509.Allowed[0], "*", "sample")
}

// credentials are the names of those that are needed to fetch the keys.
func (k *KeySource) credentials() []string {
	if k == nil || k.API == nil {
		return nil
	}
	return k.API.Credentials()
}

// where says where the keys are, for a person.
func (k *KeySource) where() string {
	switch {
	case k == nil:
		return ""
	case k.X509 != nil:
		return strings.Join(k.X509.Allowed, " ")
	case k.API != nil:
		return k.API.URL
	case k.X5C != nil:
		return k.X5C.Root
	}
	return k.URL()
}

// resolve checks the source, which may be missing, and prepares it for use.
func (k *KeySource) resolve(scheme *signature.Scheme) (*KeySource, error) {
	switch {
	case k == nil:
		return nil, nil
	case !scheme.Asymmetric():
		return nil, errors.New("nothing is verified with a public key: the signature line needs an algorithm such as rsa-sha256 or ed25519")
	case (k.List != "") != (k.In != nil), k.kinds() > 1:
		return nil, errors.New("the keys are in a set, in a list of which it is said where they are, in certificates or behind an API: write one of jwks, list, x509, x5c and api")
	case k.X5C != nil:
		return k, k.checkX5C(scheme)
	case k.X509 == nil && k.Roots != "":
		return nil, errors.New("roots vouch for the certificates of x509: for the server of the keys, write ca <file>")
	case k.API != nil:
		return k, k.API.check()
	case k.X509 == nil:
		return k, k.checkSet()
	}
	made := *k
	var err error
	made.X509, err = k.X509.resolve()
	return &made, err
}

// kinds is how many kinds of places there are.
func (k *KeySource) kinds() (n int) {
	for _, there := range []bool{k.JWKS != "", k.List != "", k.X509 != nil, k.X5C != nil, k.API != nil} {
		if there {
			n++
		}
	}
	return n
}

// checkSet checks a set or a list of keys.
func (k *KeySource) checkSet() error {
	if k.In != nil {
		for _, path := range []string{k.In.List, k.In.ID, k.In.Key} {
			if err := (signature.Source{Kind: signature.SourceBody, Name: path}).Check(); err != nil {
				return err
			}
		}
	}
	return checkKeysURL(k.URL())
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

func parseAllow(p *Provider, args []string) error {
	source, values, err := signature.ParseSource(args)
	if err != nil {
		return err
	}
	p.Allow = append(p.Allow, signature.Allowed{Source: source, Values: values})
	return nil
}

// OpenAllows are the sources of the values that only the provider's user knows.
func (p Provider) OpenAllows() (open []string) {
	for _, allowed := range p.Allow {
		if len(allowed.Values) == 0 {
			open = append(open, allowed.Source.String())
		}
	}
	return open
}

// WithoutOpenAllows leaves out the lines for values that only the provider's user knows, for
// those who make requests.
func (p Provider) WithoutOpenAllows() Provider {
	p.Allow = slices.DeleteFunc(slices.Clone(p.Allow), func(a signature.Allowed) bool { return len(a.Values) == 0 })
	return p
}

// allowOver lays a guard's own allow lines over those of the entry: an entry's line stays
// where the guard says nothing of its source.
func allowOver(own, base []signature.Allowed) []signature.Allowed {
	all := slices.Clone(own)
	for _, allowed := range base {
		if !slices.ContainsFunc(own, func(a signature.Allowed) bool { return a.Source == allowed.Source }) {
			all = append(all, allowed)
		}
	}
	return all
}
