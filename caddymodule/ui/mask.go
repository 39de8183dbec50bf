package ui

import (
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

// mask hides the secrets, tokens and signatures of one sender's requests.
type mask struct{ names []string }

// newMask takes the places where the sender's signature or token is.
func newMask(carries []signature.Source) (m mask) {
	for _, source := range carries {
		name := source.Name
		if header, ok := source.Header(); ok {
			name = header
		} else if source.Kind == signature.SourceBody {
			name = name[strings.LastIndex(name, ".")+1:]
		}
		if name != "" {
			m.names = append(m.names, strings.ToLower(name))
		}
	}
	return m
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
	return path + "?" + m.form(query)
}

// form hides values of a form, or of a query, and leaves the rest as it was sent.
func (m mask) form(text string) string {
	pairs := strings.Split(text, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); value != "" && (err != nil || m.hides(plain)) {
			pairs[i] = name + "=" + masked
		}
	}
	return strings.Join(pairs, "&")
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
		name, _, _ := strings.Cut(text[at[0]+1:], `"`)
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
