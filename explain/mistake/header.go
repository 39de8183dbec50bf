package mistake

import (
	"slices"
	"strings"
)

// likeSignature are parts of the names that headers with signatures have.
var likeSignature = []string{"sig", "hmac", "hash", "digest", "auth", "token", "mac", "verif"}

// MayBeSigned reports whether a header has a name that headers with signatures have. Basic
// authorization is the user name and password of the URL.
func MayBeSigned(header map[string][]string) bool {
	return slices.ContainsFunc(headerNames(header), func(name string) bool {
		scheme, _, _ := strings.Cut(header[name][0], " ")
		return likesSignature(name) && !(name == "Authorization" && strings.EqualFold(scheme, "basic"))
	})
}

func likesSignature(name string) bool {
	lower := strings.ToLower(name)
	return slices.ContainsFunc(likeSignature, func(s string) bool { return strings.Contains(lower, s) })
}

// Header lists a signature in a header of another name, sent twice, or in another
// spelling.
func Header(c Case) []Mistake {
	var list []Mistake
	for _, spec := range c.Provider.Signature {
		name := canonical(strings.TrimSuffix(spec.Header, "*"))
		if name == "" {
			continue // a signature that is not in a header
		}
		if strings.HasSuffix(spec.Header, "*") {
			name += "1"
		}
		list = append(list, repeated(c, name)...)
		list = append(list, respelled(c, name)...)
		for _, other := range headerNames(c.Request.Header) {
			if other == name || !likesSignature(other) {
				continue
			}
			value := c.Request.Header[other][0]
			list = append(list, Mistake{
				Causes: []Cause{{"header_name", "The signature is in the header " + other + ", the provider's in " + name + ".",
					"See whether a proxy renamed the header; otherwise describe the sender with `signature " + other + " …`."}},
				apply: func(r *Reading) { r.setHeader(name, value) },
			})
		}
	}
	return list
}

// respelled lists how a tool may have changed a value.
func respelled(c Case, name string) []Mistake {
	values := c.Request.Header[name]
	if len(values) != 1 {
		return nil
	}
	value := values[0]
	const do = "Send the header's value just as the sender did: see what wrote it anew."
	var list []Mistake
	for _, other := range []struct{ text, code, why string }{
		{strings.Trim(value, "\"' "), "header_quoted", "The header " + name + " has quotes around its value."},
		{strings.ToLower(value), "header_case", "The header " + name + " is written in upper case."},
	} {
		if other.text != value {
			list = append(list, Mistake{
				Causes: []Cause{{other.code, other.why, do}},
				apply:  func(r *Reading) { r.setHeader(name, other.text) },
			})
		}
	}
	return list
}

// repeated lists the values of a header that was sent twice, or that a proxy joined
// into one.
func repeated(c Case, name string) []Mistake {
	values := c.Request.Header[name]
	if len(values) == 1 {
		values = strings.Split(values[0], ",")
	}
	if len(values) < 2 {
		return nil
	}
	var list []Mistake
	for _, value := range values {
		list = append(list, Mistake{
			Causes: []Cause{{"header_repeated", "The header " + name + " was sent more than once, and nobody can say which one counts.",
				"See what sends the second one: a proxy, or a replay of the capture that adds its own."}},
			apply: func(r *Reading) { r.setHeader(name, strings.TrimSpace(value)) },
		})
	}
	return list
}

func headerNames(header map[string][]string) []string {
	var names []string
	for name, values := range header {
		if len(values) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
