package caddymodule

import (
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Who writes a template with an open border is told which one it is, and what closes it.
func TestOpenBordersOfOnesOwnAreWarnedOf(t *testing.T) {
	inHeader := []signature.SignatureSpec{{Header: "X-Sig"}}
	for name, tc := range map[string]struct {
		provider string
		lines    config.Provider
		want     string // "" where there is nothing to warn of
	}{
		"two headers":                      {"acme", config.Provider{Signature: inHeader, Signed: []string{"{header.X-A}{header.X-B}"}}, "{header.X-A} and {header.X-B}"},
		"a header and a body":              {"acme", config.Provider{Signature: inHeader, Signed: []string{"{header.X-A}{body}"}}, "{header.X-A} and {body}"},
		"fields with a text":               {"acme", config.Provider{Signature: inHeader, Signed: []string{"{body.a}:{body.b}"}}, "{body.a} and {body.b}"},
		"over an entry":                    {"github", config.Provider{Signed: []string{"{path}{body}"}}, "{path} and {body}"},
		"over one with a time in its body": {"struktr", config.Provider{Signed: []string{"{path}{body}"}}, "{path} and {body}"},
		"a text between":                   {"acme", config.Provider{Signature: inHeader, Signed: []string{"{header.X-A}.{body}"}}, "{header.X-A} and {body}"},
		"a text before JSON":               {"acme", config.Provider{Signature: inHeader, Signed: []string{"{header.X-A}.{body|json}"}}, ""},
		"a line between":                   {"acme", config.Provider{Signature: inHeader, Signed: []string{"{header.X-A}\n{body}"}}, ""},
		"JSON":                             {"acme", config.Provider{Signature: inHeader, Signed: []string{"{url}{body|json}"}}, ""},
		"an entry":                         {"plivo-v2", config.Provider{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zapcore.WarnLevel)
			g := newGuard()
			g.logger, g.ProviderName = zap.New(core), tc.provider
			g.Secret = []Secret{{Value: "a-secret-of-some-length"}}
			if tc.provider == "acme" {
				g.app.Providers = map[string]config.Provider{"acme": tc.lines}
			} else {
				g.Provider = tc.lines
			}
			if err := g.provision(); err != nil {
				t.Fatal(err)
			}
			said := ""
			for _, entry := range logs.FilterMessageSnippet("where one value ends").All() {
				said += entry.Message + " " + strings.Join(stringsOf(entry.ContextMap()["between"]), ", ")
			}
			if (said != "") != (tc.want != "") || !strings.Contains(said, tc.want) || said != "" && !strings.Contains(said, "{body|json}") {
				t.Errorf("warned: %q, want %q", said, tc.want)
			}
		})
	}
}

func stringsOf(list any) (texts []string) {
	all, _ := list.([]any)
	for _, one := range all {
		text, _ := one.(string)
		texts = append(texts, text)
	}
	return texts
}

// Who describes a sender of tokens is told where a token proves nothing about the body.
func TestTokensWithoutADigestAreWarnedOf(t *testing.T) {
	digest := signature.Claim{Name: "digest", Template: "{body|sha256|hex}"}
	optional, withBody := digest, digest
	optional.Optional, withBody.WithBody = true, true
	for name, tc := range map[string]struct {
		claims []signature.Claim
		warned bool
	}{
		"none":      {nil, true},
		"an issuer": {[]signature.Claim{{Name: "iss", Template: "acme"}}, true},
		"optional":  {[]signature.Claim{optional}, true},
		"with_body": {[]signature.Claim{withBody}, false},
		"a digest":  {[]signature.Claim{digest}, false},
	} {
		core, logs := observer.New(zapcore.WarnLevel)
		g := newGuard()
		g.logger, g.ProviderName = zap.New(core), "acme"
		g.Secret = []Secret{{Value: "a-secret-of-some-length"}}
		g.app.Providers = map[string]config.Provider{"acme": {Signature: []signature.SignatureSpec{{Header: "X-Token"}}, Scheme: "jwt", Claim: tc.claims}}
		if err := g.provision(); err != nil {
			t.Fatal(err)
		}
		if warned := logs.FilterMessageSnippet("can send any body").Len() > 0; warned != tc.warned {
			t.Errorf("%s: warned %t", name, warned)
		}
	}
}
