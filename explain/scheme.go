package explain

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// hmacs are the algorithms that take a secret of any text.
var hmacs = []string{"sha256", "sha1", "sha512", "sha384"}

var macEncodings = []string{"hex", "base64", "base64url"}

// schemeChanges are another algorithm, encoding or shape of the header.
func schemeChanges(_ *explainer, t try) []change {
	var list []change
	for i, spec := range t.provider.Signature {
		own := withDefaults(spec)
		if !slices.Contains(hmacs, own.Algorithm) {
			continue
		}
		for _, algorithm := range hmacs {
			for _, encoding := range macEncodings {
				for _, format := range []string{own.Format, "{signature}", algorithm + "={signature}", "v1={signature}", "v0={signature}", "v1,{signature}"} {
					other := own
					other.Algorithm, other.Encoding, other.Format = algorithm, encoding, format
					if format != own.Format {
						other.Split = nil
					}
					if c := schemeChange(i, own, other); len(c.causes) > 0 {
						list = append(list, c)
					}
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b change) int { return cmp.Compare(len(a.causes), len(b.causes)) })
	return list
}

func withDefaults(s signature.SignatureSpec) signature.SignatureSpec {
	s.Algorithm = cmp.Or(s.Algorithm, "sha256")
	s.Encoding = cmp.Or(s.Encoding, "hex")
	s.Format = cmp.Or(s.Format, "{signature}")
	return s
}

func schemeChange(i int, own, other signature.SignatureSpec) change {
	var causes []Cause
	do := "Describe the sender with `" + signatureLine(other) + "`."
	if other.Algorithm != own.Algorithm {
		causes = append(causes, Cause{"algorithm", "The signature is made with " + other.Algorithm + ", the provider's with " + own.Algorithm + ".", do})
	}
	if other.Encoding != own.Encoding {
		causes = append(causes, Cause{"encoding", "The signature is in " + other.Encoding + ", the provider's in " + own.Encoding + ".", do})
	}
	if other.Format != own.Format {
		causes = append(causes, Cause{"format", "The signature's header has the shape " + other.Format + ", the provider's " + own.Format + ".", do})
	}
	how := strconv.Itoa(i) + signatureLine(other)
	return change{causes: causes, apply: func(t *try) {
		t.setProvider(how, func(p *config.Provider) { p.Signature[i] = other })
	}}
}

func signatureLine(s signature.SignatureSpec) string {
	format := s.Format
	if strings.ContainsAny(format, " ") {
		format = strconv.Quote(format)
	}
	return strings.Join([]string{"signature", s.Header, s.Algorithm, s.Encoding, format}, " ")
}

// signedChanges are other bytes under the signature: what other senders sign.
func signedChanges(x *explainer, t try) []change {
	if t.provider.Scheme != "" {
		return nil
	}
	own := t.provider.Signed
	if len(own) == 0 {
		own = []string{"{body}"}
	}
	templates := []string{"{body}", "{timestamp}.{body}", "{timestamp}{body}", "{body}{timestamp}", "{id}.{timestamp}.{body}", "{timestamp}:{body}"}
	for _, name := range x.in.Senders.Names() {
		templates = append(templates, x.in.Senders[name].Signed...)
	}
	var list []change
	seen := make(map[string]bool)
	for _, template := range templates {
		if seen[template] || slices.Contains(own, template) {
			continue
		}
		seen[template] = true
		list = append(list, change{
			causes: []Cause{{"signed", "Other bytes are signed: " + template + ", where the provider signs " + strings.Join(own, " or ") + ".",
				"Describe the sender with `signed " + template + "`."}},
			apply: func(t *try) {
				t.setProvider("signed "+template, func(p *config.Provider) { p.Signed, p.SignedFunctions = []string{template}, nil })
			},
		})
	}
	return list
}

// likeSignature are what the names of headers that hold signatures have in
// common.
var likeSignature = []string{"sig", "hmac", "hash", "digest", "auth", "token", "mac", "verif"}

// headerChanges are a signature in a header of another name, or one that was
// sent twice.
func headerChanges(_ *explainer, t try) []change {
	var list []change
	for _, spec := range t.provider.Signature {
		name := canonical(strings.TrimSuffix(spec.Header, "*"))
		if name == "" {
			continue // a signature that is not in a header
		}
		if strings.HasSuffix(spec.Header, "*") {
			name += "1"
		}
		list = append(list, repeated(t, name)...)
		list = append(list, respelled(t, name)...)
		for _, other := range headerNames(t.request.Header) {
			lower := strings.ToLower(other)
			if other == name || !slices.ContainsFunc(likeSignature, func(s string) bool { return strings.Contains(lower, s) }) {
				continue
			}
			value := t.request.Header[other][0]
			list = append(list, change{
				causes: []Cause{{"header_name", "The signature is in the header " + other + ", the provider's in " + name + ".",
					"See whether a proxy renamed the header; otherwise describe the sender with `signature " + other + " …`."}},
				apply: func(t *try) { t.setHeader(name, value) },
			})
		}
	}
	return list
}

// respelled are the ways in which a tool may have written a value anew.
func respelled(t try, name string) []change {
	values := t.request.Header[name]
	if len(values) != 1 {
		return nil
	}
	value := values[0]
	const do = "Send the header's value just as the sender did: see what wrote it anew."
	var list []change
	for _, other := range []struct{ text, code, why string }{
		{strings.Trim(value, "\"' "), "header_quoted", "The header " + name + " has quotes around its value."},
		{strings.ToLower(value), "header_case", "The header " + name + " is written in upper case."},
	} {
		if other.text != value {
			list = append(list, change{
				causes: []Cause{{other.code, other.why, do}},
				apply:  func(t *try) { t.setHeader(name, other.text) },
			})
		}
	}
	return list
}

// repeated are the values of a header that was sent twice, or joined into one
// by a proxy.
func repeated(t try, name string) []change {
	values := t.request.Header[name]
	if len(values) == 1 {
		values = strings.Split(values[0], ",")
	}
	if len(values) < 2 {
		return nil
	}
	var list []change
	for _, value := range values {
		list = append(list, change{
			causes: []Cause{{"header_repeated", "The header " + name + " was sent more than once, and nobody can say which one counts.",
				"See what sends the second one: a proxy, or a replay of the capture that adds its own."}},
			apply: func(t *try) { t.setHeader(name, strings.TrimSpace(value)) },
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

var (
	seconds      = regexp.MustCompile(`\b[0-9]{10}\b`)
	milliseconds = regexp.MustCompile(`\b[0-9]{13}\b`)
)

// stampChanges are a stamp that is sent in one unit and signed in another.
func stampChanges(_ *explainer, t try) []change {
	p := t.provider
	if p.Timestamp == nil {
		return nil
	}
	source := p.Timestamp.Source
	headers := []string{source.Name}
	if source.Kind == signature.SourceSignature {
		headers = nil
		for _, s := range p.Signature {
			headers = append(headers, canonical(s.Header))
		}
	} else if source.Kind != signature.SourceHeader {
		return nil
	}
	const do = "Send the text that was signed: the stamp is signed as it is written."
	var list []change
	for _, name := range headers {
		values := t.request.Header[name]
		if len(values) != 1 {
			continue
		}
		add := func(code, why, value string) {
			if value != values[0] {
				list = append(list, change{causes: []Cause{{code, why, do}}, apply: func(t *try) {
					t.setHeader(name, value)
					// In another unit the stamp is no time of the provider's format.
					t.setProvider("any stamp", func(p *config.Provider) { *p = withStampFormat(*p, "") })
				}})
			}
		}
		add("stamp_milliseconds", "The stamp is sent in milliseconds and was signed in seconds.",
			milliseconds.ReplaceAllStringFunc(values[0], func(ms string) string { return ms[:10] }))
		add("stamp_seconds", "The stamp is sent in seconds and was signed in milliseconds.", seconds.ReplaceAllString(values[0], "${0}000"))
		if source.Kind != signature.SourceHeader {
			continue
		}
		if at, err := signature.ParseStamp(values[0], ""); err == nil {
			for _, format := range []string{time.RFC3339, "2006-01-02T15:04:05.000Z07:00"} {
				add("stamp_text", "The stamp is sent as a number and was signed as RFC 3339, or the other way round.", at.UTC().Format(format))
			}
			add("stamp_text", "The stamp is sent as RFC 3339 and was signed in seconds.", strconv.FormatInt(at.Unix(), 10))
			add("stamp_text", "The stamp is sent as RFC 3339 and was signed in milliseconds.", strconv.FormatInt(at.UnixMilli(), 10))
		}
	}
	return list
}
