package explain

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// part is another reading of one part of a URL.
type part struct {
	text  string
	cause *Cause // nil: as it was given
}

// urlChanges are other URLs that the sender may have signed: every combination
// of other parts, those with the fewest differences first.
func urlChanges(x *explainer, t try) []change {
	if !signsURL(t) {
		return nil
	}
	bases := []signature.Request{t.request}
	if own := x.in.Request; x.rules.PublicURL != nil {
		bases = append(bases, own)
	}
	var list []change
	for i, base := range bases {
		for _, c := range urlsLike(base) {
			if i > 0 {
				c.causes = append([]Cause{{"url_public", "The sender signed the request's own URL, not the public one that was given.",
					"Leave public_url out."}}, c.causes...)
			}
			if len(c.causes) > 0 {
				list = append(list, c)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b change) int { return cmp.Compare(len(a.causes), len(b.causes)) })
	return list
}

// signsURL: a scheme with a name may sign anything.
func signsURL(t try) bool {
	if t.provider.Scheme != "" {
		return true
	}
	for _, template := range t.provider.Signed {
		for _, name := range []string{"{url", "{uri", "{host", "{path", "{query", "{scheme"} {
			if strings.Contains(template, name) {
				return true
			}
		}
	}
	return false
}

func urlsLike(r signature.Request) []change {
	var list []change
	for _, scheme := range schemesLike(r) {
		for _, host := range hostsLike(r) {
			for _, path := range pathsLike(r) {
				for _, query := range queriesLike(r) {
					c := change{apply: func(t *try) {
						t.request.Scheme, t.request.Host, t.request.Path, t.request.Query = scheme.text, host.text, path.text, query.text
					}}
					for _, p := range []part{scheme, host, path, query} {
						if p.cause != nil {
							c.causes = append(c.causes, *p.cause)
						}
					}
					list = append(list, c)
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

// plainHost is a host that can be printed, as it holds nothing but a host.
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
	add(strings.ToLower(r.Host), "url_host", "The sender signed its host in lower case.", public)
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
