package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Certificates are those of a sender whose requests name one by its URL. The patterns say
// which URLs may be named at all; in them, a * stands for letters, digits, - and _, and in a
// host for one label.
type Certificates struct {
	// Where a request names the certificate: a header, or a path of the body.
	URL signature.Source `json:"url"`

	// The URLs that it may name.
	Allowed []string `json:"allowed"`

	// The names, of which a certificate has to be for one.
	Names []string `json:"names"`

	// The URLs from which the certificates of issuers are fetched, where a certificate
	// comes without them and says where they are. Without TLS too, as the chain shows
	// whether they are genuine.
	Issuers []string `json:"issuers,omitempty"`

	allowed, names, issuers []*regexp.Regexp
}

func parseX509(k *KeySource, args []string) (rest []string, err error) {
	c := &Certificates{}
	if c.URL, args, err = signature.ParseSource(args); err != nil {
		return nil, err
	}
	into := &c.Allowed
	for len(args) > 0 && args[0] != "ca" && args[0] != "roots" {
		switch args[0] {
		case "name":
			into = &c.Names
		case "issuer":
			into = &c.Issuers
		default:
			*into = append(*into, args[0])
		}
		args = args[1:]
	}
	k.X509 = c
	_, err = c.resolve()
	return args, err
}

func (c *Certificates) words() []string {
	words := append(sourceWords(c.URL), c.Allowed...)
	words = append(append(words, "name"), c.Names...)
	if len(c.Issuers) > 0 {
		words = append(append(words, "issuer"), c.Issuers...)
	}
	return words
}

// resolve checks the patterns and compiles them.
func (c *Certificates) resolve() (*Certificates, error) {
	switch {
	case c.URL.Kind != signature.SourceHeader && c.URL.Kind != signature.SourceBody:
		return nil, fmt.Errorf("a request names its certificate in header <name> or body <path>, not in %s", c.URL)
	case len(c.Allowed) == 0:
		return nil, errors.New("name the URLs that may be named: keys x509 " + c.URL.String() + " https://<host>/*.pem name <name>")
	case len(c.Names) == 0:
		return nil, errors.New("name whom the certificates are for, as any server's certificate would do otherwise: name <name>")
	}
	made := *c
	for _, patterns := range []struct {
		texts []string
		into  *[]*regexp.Regexp
		parse func(string) (*regexp.Regexp, error)
	}{
		{c.Allowed, &made.allowed, func(text string) (*regexp.Regexp, error) { return parseURLPattern(text, false) }},
		{c.Issuers, &made.issuers, func(text string) (*regexp.Regexp, error) { return parseURLPattern(text, true) }},
		{c.Names, &made.names, parseHostPattern},
	} {
		*patterns.into = nil
		for _, text := range patterns.texts {
			pattern, err := patterns.parse(text)
			if err != nil {
				return nil, err
			}
			*patterns.into = append(*patterns.into, pattern)
		}
	}
	return &made, nil
}

// Allows reports whether a request may name the certificate at this URL.
func (c *Certificates) Allows(url string) bool { return matchesAny(c.allowed, url) }

// IsIssuer reports whether the certificate of an issuer may be fetched from this URL.
func (c *Certificates) IsIssuer(url string) bool { return matchesAny(c.issuers, url) }

// Named reports whether a certificate for this name is the sender's.
func (c *Certificates) Named(name string) bool { return matchesAny(c.names, name) }

func matchesAny(patterns []*regexp.Regexp, text string) bool {
	return slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(text) })
}

// The texts that a star stands for. No character of them has a meaning in a URL, so the
// pattern alone says what is host and what is path.
const (
	anyLabel   = `[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?`
	anySegment = `[A-Za-z0-9_-]{1,128}`
)

// patternText is what a pattern may be made of beside its stars.
var patternText = regexp.MustCompile(`^[A-Za-z0-9_./:\[\]*-]+$`)

// parseURLPattern compiles a pattern of URLs. plain allows http to any host.
func parseURLPattern(text string, plain bool) (*regexp.Regexp, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	host, path, slash := strings.Cut(rest, "/")
	u, err := url.Parse(strings.ReplaceAll(text, "*", "a"))
	switch {
	case err != nil, !slash, host == "", !patternText.MatchString(text), strings.Contains(text, ".."), strings.Contains("/"+path, "//"):
		return nil, fmt.Errorf("%q is not a pattern of URLs: write https://<host>/<path>, with a * for letters, digits, - and _", text)
	case scheme == "https", scheme == "http" && (plain || isLoopback(u.Hostname())):
	default:
		return nil, fmt.Errorf("%q is not https, so that anyone on the way could give another key; http is for loopback addresses", text)
	}
	hosts := regexp.QuoteMeta(host)
	if !isLoopback(u.Hostname()) {
		if hosts, err = hostPattern(host); err != nil {
			return nil, err
		}
	}
	segments := strings.ReplaceAll(regexp.QuoteMeta(path), `\*`, anySegment)
	return regexp.Compile(`\A` + scheme + "://" + hosts + "/" + segments + `\z`)
}

// parseHostPattern compiles a pattern of names.
func parseHostPattern(text string) (*regexp.Regexp, error) {
	expression, err := hostPattern(text)
	if err != nil {
		return nil, err
	}
	return regexp.Compile(`\A` + expression + `\z`)
}

// hostPattern is the expression of a host in lower case. A star stands for characters of one
// label, and for none of the last two: nobody owns those that it would match.
func hostPattern(text string) (string, error) {
	labels := strings.Split(text, ".")
	n := len(labels)
	if n < 2 || strings.ToLower(text) != text || strings.ContainsAny(text, ":/[]_") || slices.Contains(labels, "") {
		return "", fmt.Errorf("%q is not a name in lower case without a port, such as sns.*.amazonaws.com", text)
	}
	if strings.Contains(labels[n-1]+labels[n-2], "*") {
		return "", fmt.Errorf("%q has a * in its last two labels, so that it would match names of strangers", text)
	}
	return strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, anyLabel), nil
}
