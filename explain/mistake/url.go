package mistake

import (
	"cmp"
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// part is another reading of one part of a URL.
type part struct {
	text        string
	cause       *Cause // nil: as given
	credentials string // before a host
}

// parts are readings of one part of a URL, each one once.
type parts []part

func (l *parts) add(text, code, why, do string) {
	if !slices.ContainsFunc(*l, func(p part) bool { return p.text == text }) {
		*l = append(*l, part{text: text, cause: &Cause{code, why, do}})
	}
}

// URL lists other URLs that the sender may have signed: every combination of other
// parts, those with the fewest differences first.
func URL(c Case) []Mistake {
	if !signsURL(c.Provider) {
		return nil
	}
	bases := []signature.Request{c.Request}
	if c.Sent != nil {
		bases = append(bases, *c.Sent)
	}
	var list []Mistake
	for i, base := range bases {
		for _, m := range urlsLike(base) {
			if i > 0 {
				m.Causes = append([]Cause{{"url_public", "The sender signed the request's own URL, not the public one that was given.",
					"Leave public_url out."}}, m.Causes...)
			}
			if len(m.Causes) > 0 {
				list = append(list, m)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Mistake) int { return cmp.Compare(len(a.Causes), len(b.Causes)) })
	return list
}

// signsURL reports whether a provider may sign parts of the URL. A named scheme may
// sign anything.
func signsURL(p config.Provider) bool {
	if p.Scheme != "" {
		return true
	}
	inQuery := func(s signature.Source) bool { return s.Kind == signature.SourceQuery }
	return slices.ContainsFunc(p.SignedReads(), func(reads signature.Reads) bool {
		return reads.URL || slices.ContainsFunc(reads.Sources, inQuery)
	})
}

func urlsLike(r signature.Request) []Mistake {
	var list []Mistake
	for _, scheme := range schemesLike(r) {
		for _, host := range hostsLike(r) {
			for _, path := range pathsLike(r) {
				for _, query := range queriesLike(r) {
					list = append(list, otherURL(scheme, host, path, query))
				}
			}
		}
	}
	none := part{text: r.Scheme}
	for _, query := range queryOrders(r) {
		list = append(list, otherURL(none, part{text: r.Host}, part{text: r.Path}, query))
	}
	return list
}

// otherURL has no causes where every part is as given.
func otherURL(scheme, host, path, query part) Mistake {
	m := Mistake{apply: func(r *Reading) {
		r.Request.Scheme, r.Request.Host, r.Request.Path, r.Request.Query = scheme.text, host.text, path.text, query.text
		if host.credentials != "" {
			r.Request.Credentials = host.credentials
		}
	}}
	for _, p := range []part{scheme, host, path, query} {
		if p.cause != nil {
			m.Causes = append(m.Causes, *p.cause)
		}
	}
	return m
}
