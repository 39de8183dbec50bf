package signature

import (
	"net"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// A sender signs the URL as it was registered with it. One URL can be written in several
// ways, and the request that arrives does not say which one was registered: HTTP clients
// leave the default port out, ask for / where there is no path, write hosts in lower case
// and in ASCII, send credentials as a header, and keep the fragment to themselves. Which
// letters were upper case cannot be told: where the request does not say, public_url must.
// A "?" that no query follows is kept by some clients and left out by others.

// urlUse says which parts of the URL a scheme signs.
type urlUse struct {
	host, path bool
	query      bool // in {url} and {uri}
	fragment   bool // what follows the query, in {url}
	anyPort    bool // the sender may leave out a port that is not the default one
}

// urlUseOf asks every content and claim, as any of them may be what was signed.
func urlUseOf(s *Scheme) urlUse {
	use := urlUse{anyPort: s.spec.Named == namedTwilio}
	add := func(c content) {
		whole := c.uses(varURL)
		use.host = use.host || whole || c.uses(varHost)
		use.path = use.path || whole || c.uses(varURI) || c.uses(varPath)
		use.query = use.query || whole || c.uses(varURI)
		use.fragment = use.fragment || whole
	}
	for _, c := range s.signed {
		add(c)
	}
	for _, c := range s.claims {
		add(c)
	}
	return use
}

// spellings are the other ways to write the URL of a request, in the order in which they
// are tried; none for a scheme that does not sign the URL.
func (use urlUse) spellings(r *Request) []Request {
	list := []Request{*r}
	if use.host && r.Host != "" {
		list = respell(list, func(r *Request) []string { return otherPorts(r, use.anyPort) },
			func(r *Request, host string) { r.Host = host })
		list = respell(list, func(r *Request) []string { return []string{strings.ToLower(r.Host)} },
			func(r *Request, host string) { r.Host = host })
		list = respell(list, otherLetters, func(r *Request, host string) { r.Host = host })
		list = respell(list, func(r *Request) []string { return []string{strings.ToLower(r.Scheme)} },
			func(r *Request, scheme string) { r.Scheme = scheme })
		list = respell(list, func(*Request) []string { return []string{""} },
			func(r *Request, credentials string) { r.Credentials = credentials })
	}
	if use.path {
		list = respell(list, otherPaths, func(r *Request, path string) { r.Path = path })
	}
	if use.query {
		list = respell(list, otherQueries, func(r *Request, mark string) { r.EmptyQuery = mark != "" })
	}
	if use.fragment {
		list = respell(list, func(*Request) []string { return []string{""} },
			func(r *Request, fragment string) { r.Fragment = fragment })
	}
	return list[1:]
}

// respell adds to a list every request of it with another text for one part of its URL.
func respell(list []Request, others func(*Request) []string, set func(*Request, string)) []Request {
	for i := range list {
		for _, text := range others(&list[i]) {
			other := list[i]
			set(&other, text)
			if !slices.ContainsFunc(list, func(r Request) bool { return sameURL(&r, &other) }) {
				list = append(list, other)
			}
		}
	}
	return list
}

func sameURL(a, b *Request) bool {
	return a.Scheme == b.Scheme && a.Host == b.Host && a.Path == b.Path && a.Credentials == b.Credentials && a.EmptyQuery == b.EmptyQuery && a.Fragment == b.Fragment
}

// otherPorts are the host with the default port of its scheme where it has none, and
// without it where it has that one.
func otherPorts(r *Request, anyPort bool) []string {
	standard := "443"
	if strings.EqualFold(r.Scheme, "http") {
		standard = "80"
	}
	name, port, err := net.SplitHostPort(r.Host)
	switch {
	case err != nil: // no port
		return []string{r.Host + ":" + standard}
	case port != standard && port != "" && !anyPort:
		return nil
	case strings.Contains(name, ":"): // IPv6
		name = "[" + name + "]"
	}
	return []string{name}
}

// otherLetters are the host in ASCII, as clients send it, and with the letters that it
// stands for.
func otherLetters(r *Request) (hosts []string) {
	for _, write := range []func(string) (string, error){idna.Punycode.ToASCII, idna.Punycode.ToUnicode} {
		if host, err := write(r.Host); err == nil {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// otherPaths are / for no path and no path for /.
func otherPaths(r *Request) []string {
	switch r.Path {
	case "/":
		return []string{""}
	case "":
		return []string{"/"}
	}
	return nil
}

// otherQueries are a ? for no query and nothing for a ? alone.
func otherQueries(r *Request) []string {
	switch {
	case r.Query != "":
		return nil
	case r.EmptyQuery:
		return []string{""}
	}
	return []string{"?"}
}
