package caddymodule

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// removeToken removes the token from the forwarded request. A token in the body stays:
// the app gets the bytes that were sent.
func removeToken(r *http.Request, token *config.Token) {
	if token == nil {
		return
	}
	switch source := token.Source; source.Kind {
	case signature.SourceHeader:
		r.Header.Del(source.Name)
	case signature.SourceQuery:
		r.URL.RawQuery = signature.WithoutQueryKey(r.URL.RawQuery, source.Name)
		r.RequestURI = withoutToken(r.RequestURI, source.Name)
	}
}

func withoutToken(uri, key string) string {
	path, query, ok := strings.Cut(uri, "?")
	if !ok {
		return uri
	}
	if query = signature.WithoutQueryKey(query, key); query != "" {
		path += "?" + query
	}
	return path
}

// tokenless returns the request as it was before any rewrite, without a token in its
// query; nil where there was none. A FastCGI app gets the URL of that request, as
// REQUEST_URI. Placeholders that hold it hold no token from then on.
func tokenless(r *http.Request, repl *caddy.Replacer, token *config.Token) *http.Request {
	if token == nil || token.Source.Kind != signature.SourceQuery {
		return nil
	}
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || original.URL == nil {
		return nil
	}
	key := token.Source.Name
	original.RequestURI = withoutToken(original.RequestURI, key)
	cleaned := *original.URL
	original.URL = &cleaned
	cleaned.RawQuery = signature.WithoutQueryKey(cleaned.RawQuery, key)
	repl.Set("http.request.orig_uri", original.RequestURI)
	repl.Set("http.request.orig_uri.query", cleaned.RawQuery)
	repl.Set("http.request.orig_uri.prefixed_query", prefixed(&cleaned))
	return &original
}

func prefixed(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	return "?" + u.RawQuery
}
