package signature

import (
	"net/url"
	"slices"
	"strings"
)

// namedContentful is Contentful's scheme: the request names the headers that
// are under its signature. The steps are those of lib/requests/index.cjs in
// the npm package @contentful/node-apps-toolkit 3.16.1; the documentation is at
// https://www.contentful.com/developers/docs/extensibility/app-framework/request-verification/
const namedContentful = "contentful"

const (
	contentfulTimestamp = "X-Contentful-Timestamp"
	contentfulHeaders   = "X-Contentful-Signed-Headers"
)

var contentfulSignature = SignatureSpec{Header: "X-Contentful-Signature"}

// maxSignedHeaders bounds the list that a request brings along.
const maxSignedHeaders = 64

// contentfulContent is the method, the path, the listed headers and the body.
type contentfulContent struct{}

func (contentfulContent) hash(st *macState, r *Request, _ Parts) error {
	list := single(headerValue(r.Header, contentfulHeaders))
	names := strings.Split(strings.ToLower(list), ",")
	switch {
	case list == "":
		return refuse(SignatureMalformed, "no header %s, which says what is signed", contentfulHeaders)
	case len(names) > maxSignedHeaders:
		return refuse(SignatureMalformed, "header %s lists more than %d headers", contentfulHeaders, maxSignedHeaders)
	}
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	// What is not on the list can be changed, and the list is a header too.
	for _, needed := range []string{contentfulTimestamp, contentfulHeaders} {
		if !slices.Contains(names, strings.ToLower(needed)) {
			return refuse(SignatureMalformed, "header %s does not list %s", contentfulHeaders, needed)
		}
	}
	slices.Sort(names)
	st.buf = append(st.buf[:0], r.Method...)
	st.buf = append(st.buf, '\n')
	st.buf = appendContentfulPath(st.buf, r)
	st.buf = append(st.buf, '\n')
	for i, name := range names {
		v := headerValue(r.Header, canonical(name))
		if name == "host" {
			v = Value{Text: r.Host} // Go keeps it apart
		}
		if v.Repeated || i > 0 && names[i-1] == name {
			return refuse(SignatureMalformed, "header %s is signed and there more than once", canonical(name))
		}
		if i > 0 {
			st.buf = append(st.buf, ';')
		}
		st.buf = append(st.buf, name...)
		st.buf = append(st.buf, ':')
		st.buf = append(st.buf, strings.TrimSpace(v.Text)...)
	}
	st.buf = append(st.buf, '\n')
	st.hash.Write(st.buf)
	st.hash.Write(r.Body)
	return nil
}

// appendContentfulPath escapes the query with querystring.escape and then path
// and query with encodeURI, which escapes the escapes: a=1 is a%253D1.
func appendContentfulPath(dst []byte, r *Request) []byte {
	dst = append(dst, encodeURI(r.Path)...)
	// The toolkit cuts at every question mark and keeps the first two parts.
	query, _, _ := strings.Cut(r.Query, "?")
	if query == "" {
		return dst
	}
	// Go escapes what JavaScript does, except for the space and ! ' ( ) *.
	escaped := strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(url.QueryEscape(query))
	return append(append(dst, '?'), encodeURI(escaped)...)
}

// encodeURI escapes as JavaScript's encodeURI does: everything but letters, digits and
// the characters listed here.
func encodeURI(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if isAlphanumeric(c) || strings.IndexByte("-_.!~*'();/?:@&=+$,#", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}

const upperHex = "0123456789ABCDEF"

// covers accepts, of the headers, only those that every request has to list.
func (contentfulContent) covers(s Source) bool {
	switch s.Kind {
	case SourceHeader:
		return strings.EqualFold(s.Name, contentfulTimestamp) || strings.EqualFold(s.Name, contentfulHeaders)
	case SourceQuery:
		return true
	}
	return s.inBody()
}

// uses: the host is signed where the request lists it.
func (c contentfulContent) holds(s Source) bool { return c.covers(s) }
func (contentfulContent) trusts(variable) bool  { return false }

func (contentfulContent) uses(v variable) bool { return v == varPath || v == varHost }

func (contentfulContent) Reads() Reads {
	headers := []Source{{SourceHeader, contentfulTimestamp}, {SourceHeader, contentfulHeaders}}
	return Reads{Sources: headers, URL: true, Body: true, RawBody: true}
}
