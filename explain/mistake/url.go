package mistake

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// part is another reading of one part of a URL.
type part struct {
	text  string
	cause *Cause // nil: as given
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
					m := Mistake{apply: func(r *Reading) {
						r.Request.Scheme, r.Request.Host, r.Request.Path, r.Request.Query = scheme.text, host.text, path.text, query.text
					}}
					for _, p := range []part{scheme, host, path, query} {
						if p.cause != nil {
							m.Causes = append(m.Causes, *p.cause)
						}
					}
					list = append(list, m)
				}
			}
		}
	}
	return list
}

func schemesLike(r signature.Request) []part {
	other := "https"
	if r.Scheme == "https" {
		other = "http"
	}
	return []part{{text: r.Scheme}, {other, &Cause{"url_scheme", "The sender signed its URL with " + other + ", the request has " + r.Scheme + ".",
		"Give the registered URL with --public-url " + other + "://" + plainHost(r.Host) +
			", and to the guard as public_url where a proxy before it ends TLS; Caddy's own TLS it knows."}}}
}

// plainHost is a host that can be printed, or … where it could be more than a host.
func plainHost(host string) string {
	if !plainName(strings.ReplaceAll(host, ":", "")) {
		return "…"
	}
	return host
}

func hostsLike(r signature.Request) []part {
	list := []part{{text: r.Host}}
	add := func(host, code, why, do string) {
		if host != "" && !slices.ContainsFunc(list, func(p part) bool { return p.text == host }) {
			list = append(list, part{host, &Cause{code, why, do}})
		}
	}
	public := "Give the URL that is registered with the sender, with --public-url here and public_url in the guard."
	name, _, err := net.SplitHostPort(r.Host)
	if err == nil {
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		add(name, "url_port", "The sender signed its URL without the port.", public)
	} else {
		name = r.Host
	}
	for _, port := range []string{"443", "80", "8080", "8443"} {
		add(name+":"+port, "url_port", "The sender signed its URL with the port "+port+".", public)
	}
	for _, header := range []string{"X-Forwarded-Host", "X-Original-Host"} {
		if values := r.Header[header]; len(values) > 0 {
			first, _, _ := strings.Cut(values[0], ",")
			add(strings.TrimSpace(first), "url_host", "The sender signed the host that is in "+header+".",
				"Say public_url, or list the proxy under trusted_proxies.")
		}
	}
	return list
}

func pathsLike(r signature.Request) []part {
	list := []part{{text: r.Path}}
	add := func(path, code, why string) {
		if !slices.ContainsFunc(list, func(p part) bool { return p.text == path }) {
			list = append(list, part{path, &Cause{code, why, "Register the URL just as the request has it, or say public_url with the registered one."}})
		}
	}
	if trimmed := strings.TrimSuffix(r.Path, "/"); trimmed != r.Path {
		add(trimmed, "url_slash", "The sender signed its URL without the slash at the end of the path.")
	} else {
		add(r.Path+"/", "url_slash", "The sender signed its URL with a slash at the end of the path.")
	}
	if plain, err := url.PathUnescape(r.Path); err == nil {
		add(plain, "url_escapes", "The sender signed its URL with the path's escapes decoded.")
	}
	if _, inner, ok := strings.Cut(strings.TrimPrefix(r.Path, "/"), "/"); ok {
		add("/"+inner, "url_path", "The sender signed a path without its first part.")
	}
	return list
}

func queriesLike(r signature.Request) []part {
	list := []part{{text: r.Query}}
	if r.Query == "" {
		return list
	}
	do := "Register the URL just as the request has it, or say public_url with the registered one."
	list = append(list, part{"", &Cause{"url_query", "The sender signed its URL without the query.", do}})
	if plain, err := url.QueryUnescape(r.Query); err == nil && plain != r.Query {
		list = append(list, part{plain, &Cause{"url_escapes", "The sender signed its URL with the query's escapes decoded.", do}})
	}
	return list
}
