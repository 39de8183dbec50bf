package mistake

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// hmacs are the algorithms that take any text as the secret.
var hmacs = []string{"sha256", "sha1", "sha512", "sha384"}

var macEncodings = []string{"hex", "base64", "base64url"}

// Scheme lists other algorithms, encodings and formats of the signature.
func Scheme(c Case) []Mistake {
	var list []Mistake
	for i, spec := range c.Provider.Signature {
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
					if m := otherScheme(i, own, other); len(m.Causes) > 0 {
						list = append(list, m)
					}
				}
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Mistake) int { return cmp.Compare(len(a.Causes), len(b.Causes)) })
	return list
}

func withDefaults(s signature.SignatureSpec) signature.SignatureSpec {
	s.Algorithm = cmp.Or(s.Algorithm, "sha256")
	s.Encoding = cmp.Or(s.Encoding, "hex")
	s.Format = cmp.Or(s.Format, "{signature}")
	return s
}

// otherScheme has no causes where the two are the same.
func otherScheme(i int, own, other signature.SignatureSpec) Mistake {
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
	return Mistake{Causes: causes, apply: func(r *Reading) {
		r.setProvider(how, func(p *config.Provider) { p.Signature[i] = other })
	}}
}

func signatureLine(s signature.SignatureSpec) string {
	format := s.Format
	if strings.ContainsAny(format, " ") {
		format = strconv.Quote(format)
	}
	return strings.Join([]string{"signature", cmp.Or(s.Header, s.Source.String()), s.Algorithm, s.Encoding, format}, " ")
}

// Foreign lists what tells a request for somebody else, or of another signature version, from
// the user's own.
func Foreign(c Case) []Mistake {
	var list []Mistake
	for i, allowed := range c.Provider.Allow {
		list = append(list, Mistake{
			Causes: []Cause{{"not_allowed", "It is signed by the sender, for a " + allowed.Source.String() + " that the allow line does not name.",
				"If that is yours, name it: `allow " + allowed.Source.String() + " <value>…`."}},
			apply: func(r *Reading) {
				r.setProvider("allow "+strconv.Itoa(i), func(p *config.Provider) { p.Allow = slices.Delete(slices.Clone(p.Allow), i, i+1) })
			},
		})
	}
	for i, spec := range c.Provider.Signature {
		if spec.When == nil {
			continue
		}
		list = append(list, Mistake{
			Causes: []Cause{{"version", "It is signed as with " + spec.When.Source.String() + " " + spec.When.Value + ", and does not say so.",
				"Look for what changes " + spec.When.Source.String() + " on the way."}},
			apply: func(r *Reading) {
				r.setProvider("when "+strconv.Itoa(i), func(p *config.Provider) { p.Signature[i].When = nil })
			},
		})
	}
	return list
}

// Signed lists other bytes under the signature: those that other senders sign.
func Signed(c Case) []Mistake {
	if c.Provider.Scheme != "" {
		return nil
	}
	own := c.Provider.Signed
	if len(own) == 0 {
		own = []string{"{body}"}
	}
	templates := []string{"{body}", "{timestamp}.{body}", "{timestamp}{body}", "{body}{timestamp}", "{id}.{timestamp}.{body}", "{timestamp}:{body}"}
	for _, name := range c.Senders.Names() {
		templates = append(templates, c.Senders[name].Signed...)
	}
	var list []Mistake
	seen := make(map[string]bool)
	for _, template := range templates {
		if seen[template] || slices.Contains(own, template) {
			continue
		}
		seen[template] = true
		list = append(list, Mistake{
			Causes: []Cause{{"signed", "Other bytes are signed: " + template + ", where the provider signs " + strings.Join(own, " or ") + ".",
				"Describe the sender with `signed " + template + "`."}},
			apply: func(r *Reading) {
				r.setProvider("signed "+template, func(p *config.Provider) { p.Signed, p.SignedFunctions = []string{template}, nil })
			},
		})
	}
	return list
}
