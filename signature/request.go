package signature

import "net/textproto"

// Request is what a scheme may sign or read.
//
// The parts of the URL are text as the sender sent it: Path and Query are
// still escaped, Query has no "?", Host may have a port. Senders sign that
// text, and a URL that was parsed and printed again is not always the same.
type Request struct {
	Method, Scheme, Host, Path, Query string
	// EmptyQuery means that the URL ends in a "?" that no query follows.
	EmptyQuery bool
	// Credentials (user:password) and Fragment are of the URL that was registered
	// with the sender. A request has neither in its own URL.
	Credentials, Fragment string
	// Header has canonical keys, as net/http makes them.
	Header map[string][]string
	// Body is the raw body. It is only read.
	Body []byte

	form *formReading // nil where nothing says what will be read of it
}

// appendURI writes the path and the query, as in the request line.
func (r *Request) appendURI(dst []byte) []byte {
	dst = append(dst, r.Path...)
	if r.Query != "" || r.EmptyQuery {
		dst = append(dst, '?')
		dst = append(dst, r.Query...)
	}
	return dst
}

// URL is the whole URL, as the sender wrote it.
func (r *Request) URL() string { return string(r.appendURL(nil)) }

func (r *Request) appendURL(dst []byte) []byte {
	dst = append(dst, r.Scheme...)
	dst = append(dst, "://"...)
	dst = r.appendURI(r.appendHost(dst))
	if r.Fragment != "" {
		dst = append(dst, '#')
		dst = append(dst, r.Fragment...)
	}
	return dst
}

// appendHost writes the host after the credentials, where there are any.
func (r *Request) appendHost(dst []byte) []byte {
	if r.Credentials != "" {
		dst = append(dst, r.Credentials...)
		dst = append(dst, '@')
	}
	return append(dst, r.Host...)
}

// Parts are the texts that {timestamp}, {id} and {nonce} stand for, verbatim:
// Stripe and others sign the header's text, and a number that was parsed and
// printed again is not always the same text.
type Parts struct {
	Timestamp, ID, Nonce string
	// The claims of a token that is the signature, and the part of its text
	// that it signs.
	claims, token string
	// The key that the request or its token names, where keys have IDs.
	keyID string
}

// Value is what a source holds in one request.
type Value struct {
	// Text is the value: a header's, a decoded query or form value, a JSON
	// string's content or a JSON number as it was written.
	Text string
	// Found is false where the source is absent, null or empty.
	Found bool
	// Bad means that there is a value, but not a string or a number.
	Bad bool
	// Repeated means that it was sent more than once, so it is ambiguous. Text
	// is the first.
	Repeated bool
}

// single returns the text of a value that is unambiguous.
func single(v Value) string {
	if !v.Found || v.Bad || v.Repeated {
		return ""
	}
	return v.Text
}

// canonical does not allocate for a name that is canonical already.
func canonical(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }

// headerValue looks up a canonical name.
func headerValue(header map[string][]string, name string) Value {
	values := header[name]
	if len(values) == 0 {
		return Value{}
	}
	return Value{Text: values[0], Found: values[0] != "", Repeated: len(values) > 1}
}
