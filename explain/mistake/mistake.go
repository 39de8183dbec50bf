// Package mistake is the catalogue of what people get wrong about a signed
// request: the secret, the body, the URL, the headers, the stamp, or the sender's
// scheme. It lists what could have been meant and judges nothing.
package mistake

import (
	"maps"
	"net/textproto"
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Cause is a mistake in words. They hold no secret, no signature and nothing of a
// body.
type Cause struct {
	// Code names the kind of mistake.
	Code string
	// Why says what is wrong, Do how to fix it.
	Why, Do string
}

// Reading is one way to read what was given.
type Reading struct {
	Provider config.Provider

	// Lines names what was changed in the provider: equal names are equal lines. ""
	// is the provider as it was given.
	Lines string

	Secret  string
	Request signature.Request // with the URL that the sender signs
}

// Case is a reading with the mistakes yet to be found.
type Case struct {
	Reading

	// Sent is the request with its own URL, where public_url names another; else nil.
	Sent *signature.Request

	// Unstripped is the body before curl took line breaks out of it, or nil.
	Unstripped []byte

	// Senders are those whose signed bytes are tried too.
	Senders config.Catalogue
}

// Mistake turns a reading into the one that may have been meant.
type Mistake struct {
	Causes []Cause
	apply  func(*Reading)
	last   bool // works on what another mistake has made
}

// Without is the reading with mistakes undone.
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

// setHeader changes a header in a copy of all of them.
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
