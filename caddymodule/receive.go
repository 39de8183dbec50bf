package caddymodule

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// receive makes sure that the request is one to look at, and states its facts.
func (d *delivery) receive() *refusal {
	stripOwnHeaders(d.r)
	d.facts = d.guard.facts(d.r)
	if d.r.Context().Value(guardedKey{}) != nil {
		return refuse(ResultMisconfigured, "the request has passed another webhook_guard before: keep one of the two")
	}
	if !slices.Contains(d.guard.rules.Methods, d.facts.Method) {
		return refuse(ResultMethodNotAllowed, "the provider uses %s", d.guard.methods)
	}
	return nil
}

// facts states what the sender sent, before any rewrite of the URL. Senders that
// sign the URL sign the one registered with them: the one that public_url says,
// or else the one that this server, or a trusted proxy before it, was asked for.
func (g *Guard) facts(r *http.Request) signature.Request {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok {
		original = *r
	}
	facts := signature.Request{Method: original.Method, Scheme: "http", Host: r.Host, Header: r.Header}
	if r.TLS != nil {
		facts.Scheme = "https"
	}
	facts.Path, facts.Query, _ = strings.Cut(original.RequestURI, "?")
	if !strings.HasPrefix(facts.Path, "/") && original.URL != nil { // absolute-form, or HTTP/2's `*`
		facts.Path, facts.Query = original.URL.EscapedPath(), original.URL.RawQuery
	}
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		facts.Scheme = firstOf(r.Header.Get("X-Forwarded-Proto"), facts.Scheme)
		facts.Host = firstOf(r.Header.Get("X-Forwarded-Host"), facts.Host)
	}
	if public := g.rules.PublicURL; public != nil {
		facts.Scheme, facts.Host = public.Scheme, public.Host
		if public.Path != "" || public.RawQuery != "" {
			facts.Path, facts.Query = public.EscapedPath(), public.RawQuery
		}
	}
	return facts
}

// firstOf takes the first entry of a header's list: what the client asked the
// outermost proxy for.
func firstOf(list, otherwise string) string {
	first, _, _ := strings.Cut(list, ",")
	if first = strings.TrimSpace(first); first != "" {
		return first
	}
	return otherwise
}
