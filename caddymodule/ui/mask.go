package ui

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// masked takes the place of a secret, a token or a signature.
const masked = "[masked]"

// secretive matches names whose values are not to be shown, wherever they come from. What a
// guard's own sender sends is known exactly: see mask.
var secretive = regexp.MustCompile(`(?i)secret|token|signature|[-_]sig$|hmac|passw|passphrase|credential|cookie|api[-_]?key|private[-_]?key|authorization|[-_]auth$`)

// jsonWebToken matches a token, whichever guard has verified it.
var jsonWebToken = regexp.MustCompile(`\beyJ[\w-]+\.[\w-]+\.[\w-]*`)

// mask hides the secrets, tokens and signatures of one sender's requests.
type mask struct {
	names []string
	// body means that the body as a whole is a token. forms means that the guard reads forms,
	// whatever Content-Type a request has.
	body, forms bool
}

// newMask takes the places where the sender's signature or token is.
func newMask(carries []signature.Source) (m mask) {
	for _, source := range carries {
		name := source.Name
		header, inHeader := source.Header()
		switch {
		case inHeader:
			name = header
		case source.Kind == signature.SourceBody && name == "":
			m.body = true
		case source.Kind == signature.SourceBody, source.Kind == signature.SourceFormJSON:
			name = lastOf(name)
		}
		m.forms = m.forms || source.Kind == signature.SourceForm || source.Kind == signature.SourceFormJSON
		if name != "" {
			m.names = append(m.names, strings.ToLower(name))
		}
	}
	return m
}

// lastOf is the name at the end of a path, in which `\.` is a dot of a name.
func lastOf(path string) string {
	const dot = "\x00"
	path = strings.ReplaceAll(path, `\.`, dot)
	return strings.ReplaceAll(path[strings.LastIndex(path, ".")+1:], dot, ".")
}

// hides reports whether the values of a header, a key or a field are not to be shown.
func (m mask) hides(name string) bool {
	lower := strings.ToLower(name)
	return secretive.MatchString(name) || slices.ContainsFunc(m.names, func(own string) bool {
		return lower == own || strings.HasSuffix(own, "-") && strings.HasPrefix(lower, own) // numbered headers
	})
}

// field is a header, as it is shown.
type field struct {
	Name, Value string
	Masked      bool
}

// fields returns headers in the order of their names.
func (m mask) fields(header http.Header) (fields []field) {
	for name, values := range header {
		for _, value := range values {
			if m.hides(name) {
				fields = append(fields, field{Name: name, Value: masked, Masked: true})
			} else {
				fields = append(fields, field{Name: name, Value: value})
			}
		}
	}
	slices.SortStableFunc(fields, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// uri hides values in the query of a URI.
func (m mask) uri(uri string) string {
	path, query, ok := strings.Cut(uri, "?")
	if !ok {
		return uri
	}
	return path + "?" + jsonWebToken.ReplaceAllLiteralString(m.form(query), masked)
}

// form hides values of a form, or of a query, and leaves the rest as it was sent. A value that
// is JSON is decoded where something in it is hidden.
func (m mask) form(text string) string {
	pairs := strings.Split(text, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); value != "" && (err != nil || m.hides(plain)) {
			pairs[i] = name + "=" + masked
			continue
		}
		// What is cut off within an escape is decoded up to there.
		if at := strings.LastIndex(value, "%"); at >= 0 && at > len(value)-len("%00") {
			value = value[:at]
		}
		if plain, err := url.QueryUnescape(value); err == nil && looksLikeJSON([]byte(plain)) {
			if hidden := m.json(plain); hidden != plain {
				pairs[i] = name + "=" + hidden
			}
		}
	}
	return strings.Join(pairs, "&")
}

var (
	// partHead is the head of a part of a multipart body.
	partHead = regexp.MustCompile(`(?is)^\r?\n(?:[^\r\n]+\r?\n)*\r?\n`)
	// partName is the name of a field in it, in the spellings that readers take.
	partName = regexp.MustCompile(`(?i)[;\s]name\*?\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))`)
)

// multipart hides values of a multipart body, and leaves the rest as it was sent. A guard takes
// the body's first line for the boundary, and an app that of the Content-Type.
func (m mask) multipart(text, boundary string) string {
	first, _, _ := strings.Cut(strings.TrimLeft(text, "\r\n"), "\n")
	return m.parts(m.parts(text, strings.TrimRight(first, " \t\r")), "--"+boundary)
}

func (m mask) parts(text, boundary string) string {
	if len(boundary) <= len("--") {
		return text
	}
	parts := strings.Split(text, boundary)
	for i, part := range parts {
		head := partHead.FindString(part)
		if m.hidesPart(head) && len(part) > len(head) {
			parts[i] = head + masked + "\r\n"
		}
	}
	return strings.Join(parts, boundary)
}

// hidesPart reports whether a part with that head is not to be shown.
func (m mask) hidesPart(head string) bool {
	for _, found := range partName.FindAllStringSubmatch(head, -1) {
		if m.hides(found[1]) || m.hides(found[2]) {
			return true
		}
	}
	return false
}

var (
	// jsonName is the name of a member of an object.
	jsonName = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"\s*:\s*`)
	// jsonValue is a text, or a list of values that have no members, maybe cut off.
	jsonValue = regexp.MustCompile(`(?s)^(?:"(?:[^"\\]|\\.)*(?:"|$)|\[(?:[^\]"]|"(?:[^"\\]|\\.)*(?:"|$))*(?:\]|$))`)
)

// json hides values of texts that look like JSON, whether or not they are.
func (m mask) json(text string) string {
	var b strings.Builder
	for {
		at := jsonName.FindStringIndex(text)
		if at == nil {
			b.WriteString(text)
			return b.String()
		}
		name := jsonText(text[at[0]:at[1]])
		b.WriteString(text[:at[1]])
		text = text[at[1]:]
		if m.hides(name) {
			if value := jsonValue.FindStringIndex(text); value != nil {
				b.WriteString(`"` + masked + `"`)
				text = text[value[1]:]
			}
		}
	}
}

// jsonText is the name before a colon, without its escapes.
func jsonText(member string) (name string) {
	quoted := member[:strings.LastIndex(member, `"`)+1]
	if json.Unmarshal([]byte(quoted), &name) != nil {
		return strings.Trim(quoted, `"`)
	}
	return name
}
