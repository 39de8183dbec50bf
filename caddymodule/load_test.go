package caddymodule

import (
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// A header that Caddy drops would never reach the guard, so it is refused unless
// the server keeps it.
func TestHeadersThatCaddyDropsAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		header            string
		dots, underscores []string
		want              string // in the error; "" where it is taken
	}{
		"usual":                        {"X-Acme", nil, nil, ""},
		"a dot":                        {"X.Acme", nil, nil, "expected_dot_headers X.Acme"},
		"an underscore":                {"X_Acme", nil, nil, "expected_underscore_headers X_Acme"},
		"a dot, listed":                {"X.Acme", []string{"x.acme"}, nil, ""},
		"a dot, in a pattern":          {"X.Acme", []string{"x.*"}, nil, ""},
		"a dot, in the other list":     {"X.Acme", nil, []string{"X.Acme"}, "expected_dot_headers"},
		"a dot, another listed":        {"X.Acme", []string{"X.Acme2", "X.Acm"}, nil, "expected_dot_headers"},
		"an underscore, listed":        {"X_Acme", nil, []string{"X_Acme"}, ""},
		"an underscore, in a pattern":  {"X_Acme", nil, []string{"X_Acme*"}, ""},
		"both":                         {"X_A.B", nil, nil, "expected_dot_headers"},
		"both, listed with the dots":   {"X_A.B", []string{"X_A.B"}, nil, ""},
		"both, with the underscores":   {"X_A.B", nil, []string{"x_a.b"}, ""},
		"both, in a pattern":           {"X_A.B", []string{"X_*"}, []string{"X_*"}, "expected_dot_headers"},
		"in the place of a listed one": {"X-Acme", nil, []string{"X_Acme"}, "expects X_Acme"},
		"in the place of a pattern":    {"X-Acme", []string{"x.*"}, nil, "expects x.*"},
		"beside a listed one":          {"X-Acme", []string{"X.Acm"}, []string{"X_Acme2", "Y_*"}, ""},
		"a pattern longer than a name": {"X.", []string{"X.Acme*"}, nil, "expected_dot_headers"},
	} {
		t.Run(name, func(t *testing.T) {
			g := guardOf(t, config.Provider{Signature: []signature.SignatureSpec{{Header: tc.header}}})
			err := checkHeaderNames(g.sender.Rules.Reads().Headers(), &caddyhttp.Server{ExpectedDotHeaders: tc.dots, ExpectedUnderscoreHeaders: tc.underscores})
			if tc.want != "" {
				wantText(t, err, tc.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// A header in the guard's own name is removed before the guard reads any, so whatever is
// read from it would be missing in every request.
func TestHeadersOfTheGuardAreNoSources(t *testing.T) {
	signs := []signature.SignatureSpec{{Header: "X-Sig"}}
	for name, p := range map[string]config.Provider{
		"a token":     {Token: "header Webhook-Guard"},
		"a signature": {Signature: []signature.SignatureSpec{{Header: "webhook-guard-signature"}}},
		"an ID":       {Signature: signs, ID: sourcesOf("header Webhook-Guard-Id")},
		"signed":      {Signature: signs, Signed: []string{"{header.Webhook_Guard_Id}.{body}"}},
		"content":     {Signature: signs, Content: "{header.WEBHOOK-GUARD-EVENT}"},
	} {
		t.Run(name, func(t *testing.T) {
			server := &caddyhttp.Server{ExpectedUnderscoreHeaders: []string{"Webhook_Guard_Id"}}
			wantText(t, checkHeaderNames(guardOf(t, p).sender.Rules.Reads().Headers(), server), "removed")
		})
	}
}

// What a template reads counts, wherever the template stands, and its text does not.
func TestHeadersInTemplatesThatCaddyDropsAreRefused(t *testing.T) {
	signs := []signature.SignatureSpec{{Header: "X-Sig"}}
	for name, tc := range map[string]struct {
		p       config.Provider
		refused bool
	}{
		"signed":             {config.Provider{Signature: signs, Signed: []string{"{header.X_Account}{body}"}}, true},
		"through a function": {config.Provider{Signature: signs, Signed: []string{"{http.request.header.X_Account|lower}{body}"}}, true},
		"text":               {config.Provider{Signature: signs, Signed: []string{`\{header.X_Account\}{body}`}}, false},
		"content":            {config.Provider{Signature: signs, Content: "{header.X_Account}"}, true},
		"claim": {config.Provider{
			Signature: signs, Scheme: "jwt", Claim: []signature.Claim{{Name: "sub", Template: "{header.X_Account}"}},
		}, true},
		"or_id": {config.Provider{Signature: signs, ID: sourcesOf("body id"), OrID: sourcesOf("header X_Account")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkHeaderNames(guardOf(t, tc.p).sender.Rules.Reads().Headers(), nil)
			if tc.refused {
				wantText(t, err, "expected_underscore_headers X_account")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// guardOf is a guard of a provider, with nothing but its rules.
func guardOf(t *testing.T, p config.Provider) *Guard {
	t.Helper()
	sender, err := webhook.New("acme", p)
	if err != nil {
		t.Fatal(err)
	}
	return &Guard{Provider: p, sender: sender}
}

func TestHeaderNamesAreAllThatTheGuardReads(t *testing.T) {
	g := guardOf(t, config.Provider{
		Signature: []signature.SignatureSpec{{Header: "X-Sig"}, {Header: "X-Sig-*"}},
		Event:     sourcesOf("header X-Event")[0],
		ID:        sourcesOf("header X-Id", "body id", "query id"),
		Timestamp: &signature.StampSpec{Source: sourcesOf("header X-At")[0]},
		EventTime: &signature.StampSpec{Source: sourcesOf("header X-Event-At")[0]},
		Signed: []string{
			"{header.X-Signed}\n{header.X-Event-At}\n{body}",
			"{http.request.header.X-Long|lower}\n{header.X-Event-At}",
		},
		Content: "{header.X-Content}",
	})
	want := []string{"X-Sig", "X-Sig-", "X-Event", "X-Id", "X-At", "X-Event-At", "X-Signed", "X-Long", "X-Content"}
	got := g.sender.Rules.Reads().Headers()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got = guardOf(t, config.Provider{Token: "header X-Token"}).sender.Rules.Reads().Headers()
	if !slices.Equal(got, []string{"X-Token"}) {
		t.Errorf("of a token: %v", got)
	}
}

func TestATokenThatLogsWouldShowIsWarnedOf(t *testing.T) {
	for token, filter := range map[string]string{
		"query token":    "request>uri query { replace token REDACTED }",
		"header X-Token": "request>headers>X-Token delete",
		"bearer":         "", // Caddy redacts Authorization by itself
		"basic":          "",
		"body token":     "",
		"form token":     "",
		"":               "",
	} {
		core, logs := observer.New(zap.DebugLevel)
		g := newGuard()
		g.logger = zap.New(core)
		g.ProviderName, g.Secret, g.Token = "struktr", []Secret{{Value: "c4n4ry-c4n4ry-c4n4ry"}}, token
		if err := g.provision(); err != nil {
			t.Fatal(err)
		}
		g.warnOfToken()
		got := ""
		for _, entry := range logs.All() {
			got, _ = entry.ContextMap()["filter"].(string)
		}
		if got != filter || logs.Len() > 1 {
			t.Errorf("token %s: filter %q, want %q", token, got, filter)
		}
	}
}
