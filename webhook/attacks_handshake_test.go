package webhook

import (
	"net/url"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// unread is a body that a check never asks for, as a signed request has been read.
type unread struct{ t *testing.T }

func (u unread) ReadCheck() ([]byte, bool) {
	u.t.Error("a check reads the body of a signed request again")
	return nil, false
}

// putUnsigned puts a value where a check looks for one outside of the body.
func putUnsigned(r *signature.Request, source signature.Source, value string) {
	switch source.Kind {
	case signature.SourceHeader:
		r.Header[canonicalName(source.Name)] = []string{value}
	case signature.SourceQuery:
		if r.Query != "" {
			r.Query += "&"
		}
		r.Query += url.QueryEscape(source.Name) + "=" + url.QueryEscape(value)
	}
}

// Whoever has captured an event can add whatever a check of the endpoint has in headers
// and in the query. As long as the signature holds, the event is no check.
func TestNoEventOfAnEntryIsAnsweredAsACheck(t *testing.T) {
	for _, name := range config.Builtin().Names() {
		p := config.Builtin()[name]
		lines := [][]string{{"echo", "header", "X-Challenge"}, {"echo", "query", "challenge"}}
		if len(p.Handshake) > 0 {
			lines = append(lines, p.Handshake)
		}
		for _, g := range genuineOf(t, name, p) {
			for _, words := range lines {
				parsed, err := config.ParseHandshake(words)
				if err != nil || parsed == nil {
					t.Fatalf("%s: %q: %v", name, words, err)
				}
				argument := ""
				if parsed.Missing() != "" {
					parsed.Argument, argument = "verify-me", "verify-me"
				}
				handshake, err := NewHandshake(parsed, argument)
				if err != nil {
					t.Fatalf("%s: %q: %v", name, words, err)
				}
				for i, check := range parsed.Checks {
					r := clone(g.request)
					for _, when := range check.When {
						putUnsigned(&r, when.Source, when.Value)
						if when.Value == "" {
							putUnsigned(&r, when.Source, "a1b2")
						}
					}
					if check.Token.Kind != "" {
						putUnsigned(&r, check.Token, argument)
					}
					if check.Challenge.Kind == signature.SourceHeader {
						putUnsigned(&r, check.Challenge, "a1b2")
					}
					if parsed.Kind == "aws-sns" && strings.HasSuffix(g.name, "-confirmation") {
						continue // it is a check that its sender has signed
					}
					j := g.sender.Begin(r, Fixed{g.secrets, "scope"}, g.now)
					if j.Head() != nil || j.Authenticate(r.Body) != nil {
						continue // it is signed, so nobody can add it
					}
					if reply, _ := handshake.Answer(&j, nil, unread{t}); reply != nil {
						t.Errorf("%s, %s: check %d of %q was answered with %d", name, g.name, i+1, words, reply.Status)
					}
				}
			}
		}
	}
}
