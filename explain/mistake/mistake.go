// Package mistake lists the usual mistakes with a signed request: in the secret, the
// body, the URL, the headers, the stamp or the sender's scheme. It judges nothing.
package mistake

import (
	"maps"
	"net/textproto"
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Cause is a mistake in words. It holds no secret, no signature and nothing of a body.
type Cause struct {
	// Code names the kind of mistake.
	Code string
	// Why says what is wrong, Do how to fix it.
	Why, Do string
}

// Reading is a request with the provider and the secret that it is judged by.
type Reading struct {
	Provider config.Provider

	// Lines names the changes to the provider: readings of equal Lines have equal
	// lines. "" is the provider as given.
	Lines string

	Secret  string
	Request signature.Request // with the URL that the sender signs
}

// Case is the reading as given, in which mistakes are looked for.
type Case struct {
	Reading

	// Sent is the request with its own URL; nil where public_url does not replace it.
	Sent *signature.Request

	// Unstripped is the body before curl removed its line breaks, or nil.
	Unstripped []byte

	// Senders are those whose signed bytes are tried too.
	Senders config.Catalogue
}

// Mistake is a change from the reading as given to one that may have been meant.
type Mistake struct {
	Causes []Cause
	apply  func(*Reading)
	last   bool // is applied after the others
}

// Without returns the reading with mistakes corrected.
func (r Reading) Without(mistakes ...Mistake) Reading {
	for _, last := range []bool{false, true} {
		for _, m := range mistakes {
			if m.last == last {
				m.apply(&r)
			}
		}
	}
	return r
}

// setHeader replaces a header in a copy of all headers.
func (r *Reading) setHeader(name, value string) {
	r.Request.Header = maps.Clone(r.Request.Header)
	r.Request.Header[name] = []string{value}
}

// setProvider changes the provider's lines. how names the change.
func (r *Reading) setProvider(how string, change func(*config.Provider)) {
	r.Provider.Signature = slices.Clone(r.Provider.Signature)
	change(&r.Provider)
	r.Lines += "|" + how
}

func canonical(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }
