package mistake

import (
	"encoding/base64"
	"net"
	"net/url"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func schemesLike(r signature.Request) []part {
	other := "https"
	if r.Scheme == "https" {
		other = "http"
	}
	return []part{{text: r.Scheme}, {text: other, cause: &Cause{"url_scheme", "The sender signed its URL with " + other + ", the request has " + r.Scheme + ".",
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

const sayPublicURL = "Give the URL that is registered with the sender, with --public-url here and public_url in the guard."

func hostsLike(r signature.Request) []part {
	list := parts{{text: r.Host}}
	add := func(host, code, why, do string) {
		if host != "" {
			list.add(host, code, why, do)
		}
	}
	name, _, err := net.SplitHostPort(r.Host)
	if err == nil {
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		add(name, "url_port", "The sender signed its URL without the port.", sayPublicURL)
	} else {
		name = r.Host
	}
	for _, port := range []string{"443", "80", "8080", "8443"} {
		add(name+":"+port, "url_port", "The sender signed its URL with the port "+port+".", sayPublicURL)
	}
	for _, header := range []string{"X-Forwarded-Host", "X-Original-Host", "X-Host", "Forwarded"} {
		if values := r.Header[header]; len(values) > 0 {
			host, _, _ := strings.Cut(values[0], ",")
			if header == "Forwarded" {
				host = forwarded(values[0], "host")
			}
			add(strings.TrimSpace(host), "url_host", "The sender signed the host that is in "+header+".", trustProxy(header))
		}
	}
	if credentials := basicCredentials(r); credentials != "" {
		list = append(list, part{text: r.Host, credentials: credentials, cause: &Cause{"url_credentials",
			"The sender signed its URL with the user name and password in it, which it sends in the header Authorization.",
			"Say public_url with the whole registered URL, https://user:password@host/path."}})
	}
	return list
}

// trustProxy is the fix for a host that only a header has. Caddy does not read RFC 7239's.
func trustProxy(header string) string {
	if header == "X-Forwarded-Host" {
		return "Say public_url, or list the proxy under trusted_proxies."
	}
	return "Say public_url: Caddy reads X-Forwarded-Host, from a proxy under trusted_proxies, and not " + header + "."
}

// forwarded is a parameter of the first element of a Forwarded header: RFC 7239 section 4.
func forwarded(value, name string) string {
	first, _, _ := strings.Cut(value, ",")
	for pair := range strings.SplitSeq(first, ";") {
		key, text, _ := strings.Cut(pair, "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.Trim(strings.TrimSpace(text), `"`)
		}
	}
	return ""
}

// basicCredentials is what a request's Basic authorization holds.
func basicCredentials(r signature.Request) string {
	for _, value := range r.Header["Authorization"] {
		scheme, encoded, _ := strings.Cut(value, " ")
		if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded)); err == nil && strings.EqualFold(scheme, "basic") {
			return string(decoded)
		}
	}
	return ""
}

const registerAsIs = "Register the URL just as the request has it, or say public_url with the registered one."

// strippedBy are the headers in which proxies tell what they took off a path: the prefix
// alone, or the whole path.
var strippedBy = []struct {
	header string
	whole  bool
}{
	{"X-Forwarded-Prefix", false}, {"X-Script-Name", false}, {"X-Envoy-Original-Path", true}, {"X-Original-Uri", true}, {"X-Original-Url", true},
	{"X-Forwarded-Uri", true}, {"X-Rewrite-Url", true}, {"X-Forwarded-Path", true},
}

// usualPrefixes are what people mount webhooks under.
var usualPrefixes = []string{"/webhooks", "/webhook", "/hooks", "/api", "/api/webhooks"}

func pathsLike(r signature.Request) []part {
	list := parts{{text: r.Path}}
	add := func(path, code, why string) { list.add(path, code, why, registerAsIs) }
	if trimmed := strings.TrimSuffix(r.Path, "/"); trimmed != r.Path {
		add(trimmed, "url_slash", "The sender signed its URL without the slash at the end of the path.")
	} else {
		add(r.Path+"/", "url_slash", "The sender signed its URL with a slash at the end of the path.")
	}
	if plain, err := url.PathUnescape(r.Path); err == nil {
		add(plain, "url_escapes", "The sender signed its URL with the path's escapes decoded.")
	}
	add(escapesIn(r.Path, strings.ToLower), "url_escapes", "The sender signed its URL with the path's escapes in lower case.")
	add(escapesIn(r.Path, strings.ToUpper), "url_escapes", "The sender signed its URL with the path's escapes in upper case.")
	inner := r.Path
	for _, parts := range []string{"part", "two parts", "three parts"} {
		_, rest, more := strings.Cut(strings.TrimPrefix(inner, "/"), "/")
		if !more {
			break
		}
		inner = "/" + rest
		add(inner, "url_path", "The sender signed a path without its first "+parts+".")
	}
	for _, by := range strippedBy {
		for _, value := range r.Header[by.header] {
			path, _, _ := strings.Cut(strings.TrimSuffix(value, "/"), "?")
			if !by.whole {
				path += r.Path
			}
			add(path, "url_prefix", "A proxy took off the beginning of the path that the sender signed, and says so in "+by.header+".")
		}
	}
	for _, prefix := range usualPrefixes {
		add(prefix+r.Path, "url_prefix", "A proxy took off the beginning of the path that the sender signed, "+prefix+".")
	}
	return list
}

func queriesLike(r signature.Request) []part {
	list := parts{{text: r.Query}}
	if r.Query == "" {
		return list
	}
	add := func(query, code, why string) { list.add(query, code, why, registerAsIs) }
	add("", "url_query", "The sender signed its URL without the query.")
	if plain, err := url.QueryUnescape(r.Query); err == nil {
		add(plain, "url_escapes", "The sender signed its URL with the query's escapes decoded.")
	}
	for _, other := range rewritten(r.Query) {
		if other.code == "escapes" {
			add(other.text, "url_escapes", "The sender signed its URL with other escapes in the query: "+other.words+".")
		}
	}
	return list
}

// queryOrders are the other orders of a query, which are many.
func queryOrders(r signature.Request) []part {
	var list []part
	for _, other := range rewritten(r.Query) {
		if other.code == "order" {
			list = append(list, part{text: other.text, cause: &Cause{"url_query_order", "The sender signed its URL with another query: " + other.words + ".",
				"See what writes the query anew: a proxy, or a tool that the request was captured with. " + registerAsIs}})
		}
	}
	return list
}
