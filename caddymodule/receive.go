package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// receive removes the guard's own headers from the request and refuses a request that
// has passed another guard.
func (x *exchange) receive() *webhook.Refusal {
	silenceShadow(x.r)
	stripOwnHeaders(x.r)
	return refuseGuarded(x.r)
}

// refuseGuarded refuses a request that has passed another guard.
func refuseGuarded(r *http.Request) *webhook.Refusal {
	if r.Context().Value(guardedKey{}) != nil {
		return webhook.Refuse(webhook.Misconfigured, "the request has passed another webhook_guard before: keep one of the two")
	}
	return nil
}

// facts records the request as it was sent, before any rewrite of the URL: scheme and
// host are those that this server, or a trusted proxy before it, was asked for.
func facts(r *http.Request) signature.Request {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok {
		original = *r
	}
	sent := signature.Request{Method: original.Method, Scheme: "http", Host: r.Host, Header: r.Header}
	if r.TLS != nil {
		sent.Scheme = "https"
	}
	var mark bool
	sent.Path, sent.Query, mark = strings.Cut(original.RequestURI, "?")
	if !strings.HasPrefix(sent.Path, "/") && original.URL != nil { // absolute-form, or HTTP/2's `*`
		sent.Path, sent.Query, mark = original.URL.EscapedPath(), original.URL.RawQuery, original.URL.ForceQuery
	}
	sent.EmptyQuery = mark && sent.Query == ""
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		sent.Scheme = strings.ToLower(firstOf(r.Header.Get("X-Forwarded-Proto"), sent.Scheme))
		sent.Host = firstOf(r.Header.Get("X-Forwarded-Host"), sent.Host)
	}
	return sent
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
