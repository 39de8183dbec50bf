package ui

import (
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
)

// notForCurl are headers that curl sets, or that say how the request came.
var notForCurl = map[string]bool{
	"Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Host": true, "Accept-Encoding": true, "Expect": true,
}

// curl is a command that sends the event again, with the body from its downloaded file. What
// is masked is left out, so a guard does not verify it: it is for the app.
func (m mask) curl(key string, r *adminapi.InboxRequest) string {
	parts := []string{"curl --request " + quote(r.Method) + " " + quote(r.Scheme+"://"+r.Host+m.uri(r.URI))}
	for _, f := range m.fields(r.Header) {
		if !f.Masked && !notForCurl[f.Name] {
			parts = append(parts, "--header "+quote(f.Name+": "+f.Value))
		}
	}
	if len(r.Body) > 0 {
		parts = append(parts, "--data-binary "+quote("@"+bodyFile(key)))
	}
	return strings.Join(parts, " \\\n  ")
}

// quote makes one word of a shell's command of a text. What cannot be seen is left out: who
// pastes the command has to see all of it.
func quote(text string) string {
	text = strings.Map(func(r rune) rune {
		if !shown(r) || r == '\n' || r == '\t' || r == '\uFFFD' {
			return -1
		}
		return r
	}, text)
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
