package caddymodule

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// The headers that the guard sets. headerResult holds the result on responses and
// `verified` on forwarded requests.
const (
	headerResult   = webhook.ResultHeader
	headerProvider = "Webhook-Guard-Provider"
	headerID       = "Webhook-Guard-Id"
	headerEvent    = "Webhook-Guard-Event"
	headerTime     = "Webhook-Guard-Time"
	headerScope    = "Webhook-Guard-Scope"
	headerSigned   = "Webhook-Guard-Signed"

	verified = "verified"
)

// stripOwnHeaders removes whatever the sender put into headers of the guard's names, and
// into trailers of them, so that an app can trust those headers. Apps behind CGI-like
// interfaces (WSGI, PHP) fold `-`, `_` and `.` into one, so every spelling that could fold
// to a name of ours goes.
//
// A proxy drops the headers that a Connection header names. So only what concerns the
// connection may stay there: neither our headers nor those that the sender signed are the
// sender's to take away, as nobody signs a Connection header.
func stripOwnHeaders(r *http.Request) {
	stripOwnNames(r.Header)
	stripOwnNames(r.Trailer)
	if values, ok := r.Header["Connection"]; ok {
		r.Header["Connection"] = hopByHopOnly(values)
	}
}

func stripOwnNames(header http.Header) {
	for name := range header {
		if isOwnHeader(name) {
			delete(header, name)
		}
	}
}

// hopByHop are the fields and options that concern one connection only: those of RFC 9110
// section 7.6.1, and those of older software.
var hopByHop = []string{
	"close", "keep-alive", "te", "trailer", "trailers", "transfer-encoding", "upgrade",
	"proxy-connection", "proxy-authenticate", "proxy-authorization", "http2-settings",
}

func hopByHopOnly(values []string) []string {
	kept := make([]string, 0, len(values))
	for _, value := range values {
		var names []string
		for name := range strings.SplitSeq(value, ",") {
			name = textproto.TrimString(name)
			if slices.Contains(hopByHop, strings.ToLower(name)) {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			kept = append(kept, strings.Join(names, ", "))
		}
	}
	return kept
}

const ownPrefix = "webhook-guard"

// isOwnHeader folds a name as the least careful app would.
func isOwnHeader(name string) bool {
	if len(name) < len(ownPrefix) {
		return false
	}
	for i := range len(ownPrefix) {
		if fold(name[i]) != ownPrefix[i] {
			return false
		}
	}
	return len(name) == len(ownPrefix) || fold(name[len(ownPrefix)]) == '-'
}

// foldsTo reports whether an app could take the name for one of these.
func foldsTo(name string, names []string) bool {
	for _, other := range names {
		if len(name) != len(other) {
			continue
		}
		same := true
		for i := range len(name) {
			same = same && fold(name[i]) == fold(other[i])
		}
		if same {
			return true
		}
	}
	return false
}

func fold(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	}
	return '-'
}

// setVerified sets the headers that name what was verified. It sets none where
// the guard authenticates nobody.
func setVerified(header http.Header, event *webhook.Event, authentic bool) {
	values := make([]string, 0, 7) // in one piece, as many headers as there can be
	set := func(name, value string) {
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if authentic {
		set(headerResult, verified)
	}
	set(headerProvider, event.Provider)
	set(headerScope, headerSafe(event.Scope))
	if signed := event.Covered.String(); signed != "" {
		set(headerSigned, signed)
	}
	if len(event.ID) > 0 {
		set(headerID, event.JoinID(headerSafe, headerSafeInner))
	}
	if event.Type != "" {
		set(headerEvent, headerSafe(event.Type))
	}
	if when := event.When(); !when.IsZero() {
		set(headerTime, when.UTC().Format(time.RFC3339Nano))
	}
}

// headerSafe makes any text fit for a header: bytes that are not printable
// ASCII, spaces at the ends, and `%` itself are percent-encoded. Usual IDs come
// through as they are.
func headerSafe(text string) string {
	safe := 0
	for safe < len(text) && isHeaderSafe(text, safe) {
		safe++
	}
	if safe == len(text) {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		if isHeaderSafe(text, i) {
			b.WriteByte(text[i])
			continue
		}
		fmt.Fprintf(&b, "%%%02X", text[i])
	}
	return b.String()
}

// headerSafeInner is headerSafe for the parts of an ID that a colon ends.
func headerSafeInner(part string) string { return strings.ReplaceAll(headerSafe(part), ":", "%3A") }

func isHeaderSafe(text string, i int) bool {
	c := text[i]
	edge := c == ' ' && (i == 0 || i == len(text)-1)
	return c >= ' ' && c <= '~' && c != '%' && !edge
}
