package config

import (
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Reads returns everything that is read from a request: by the scheme, the token, the
// event's names and the content line.
func (r *Resolved) Reads() signature.Reads {
	reads := r.Scheme.Reads()
	if r.Token != nil {
		reads.AddSources(r.Token.Source)
	}
	if r.Event != nil {
		reads.AddSources(*r.Event)
	}
	for _, id := range r.ID {
		reads.AddSources(id.Sources...)
	}
	if r.Content != nil {
		reads.Add(r.Content.Reads())
	}
	return reads
}

// Credentials returns the places of a request that hold the sender's signatures, or its token.
// The name of a numbered header ends with a dash.
func Credentials(r *Resolved) (places []signature.Source) {
	for _, spec := range r.Scheme.Spec().Signatures {
		if spec.Header != "" {
			places = append(places, signature.Source{Kind: signature.SourceHeader, Name: strings.TrimSuffix(spec.Header, "*")})
		} else {
			places = append(places, spec.Source)
		}
	}
	if r.Token != nil {
		places = append(places, r.Token.Source)
	}
	return places
}

// SignedReads returns what each signed template reads. It leaves out those that do not
// parse, which [Provider.Resolve] refuses.
func (p Provider) SignedReads() []signature.Reads {
	return templateReads(p.Signed)
}

func templateReads(templates []string) []signature.Reads {
	var all []signature.Reads
	for _, text := range templates {
		if template, err := signature.ParseSigned(text); err == nil {
			all = append(all, template.Reads())
		}
	}
	return all
}
