package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

func TestResolveSecret(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("GUARD_TEST_SECRET", "s3cr{e}t")
	t.Setenv("GUARD_TEST_EMPTY", "")
	for value, want := range map[string]string{
		"plain text":                                   "plain text",
		"{env.GUARD_TEST_SECRET}":                      "s3cr{e}t",
		"a{env.GUARD_TEST_SECRET}b":                    "as3cr{e}tb",
		"{file." + write("one", "from a file\n") + "}": "from a file",
		`literal \{brace`:                              "literal {brace",
		`literal \{env.X\}`:                            "literal {env.X}",
	} {
		if got, err := placeholder.Resolve(value); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", value, got, err, want)
		}
	}
	for value, text := range map[string]string{
		"":                                 "empty",
		"{env.GUARD_TEST_UNSET}":           "env.GUARD_TEST_UNSET",
		"{env.GUARD_TEST_EMPTY}":           "env.GUARD_TEST_EMPTY",
		"{file." + dir + "/missing}":       "missing",
		"{file." + write("none", "") + "}": "empty",
		"{http.request.header.X}":          "known when the configuration loads",
		"prefix-{http.request.uri.path.file.secret}": "absolute/path",
		"{http.request.uri.path.file.../secret}":     "absolute/path",
	} {
		got, err := placeholder.Resolve(value)
		if got != "" {
			t.Errorf("%s: %q", value, got)
		}
		wantText(t, err, text)
	}
}

// An error about a secret never contains its text.
func TestErrorsNeverHoldASecret(t *testing.T) {
	const canary = "c4n4ry"
	t.Setenv("GUARD_TEST_CANARY", canary)
	t.Setenv("GUARD_TEST_PADDED", "whsec_!"+canary)
	past := time.Now().Add(-time.Hour)
	for name, edit := range map[string]func(*Guard){
		"not base64": func(g *Guard) { g.ProviderName, g.Secret = "standard-webhooks", []Secret{{Value: "whsec_!" + canary}} },
		"not base64, from the environment": func(g *Guard) {
			g.ProviderName, g.Secret = "standard-webhooks", []Secret{{Value: "{env.GUARD_TEST_PADDED}"}}
		},
		"not hex":           func(g *Guard) { g.SecretEncoding, g.Secret = "hex", []Secret{{Value: canary}} },
		"a brace in it":     func(g *Guard) { g.Secret = []Secret{{Value: "x{" + canary + "}y"}} },
		"braces, one known": func(g *Guard) { g.Secret = []Secret{{Value: "{env.GUARD_TEST_CANARY}{" + canary + "}"}} },
		"past its until":    func(g *Guard) { g.Secret = []Secret{{Value: canary, Until: &past}} },
		"per_request":       func(g *Guard) { g.Secret = []Secret{{Value: canary, PerRequest: true}} },
		"nothing to compare with": func(g *Guard) {
			g.ProviderName, g.InsecureUnsigned, g.Secret = "okrapdf", true, []Secret{{Value: canary}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard()
			g.ProviderName = "struktr"
			edit(g)
			err := g.provision()
			if err == nil {
				t.Fatal("not refused")
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the secret is in %q", err)
			}
		})
	}
}

func TestCheckAuthentication(t *testing.T) {
	secret := []Secret{{Value: "x"}}
	for name, tc := range map[string]struct {
		guard *Guard
		want  string // "" where it is let through
	}{
		"signed, with a secret":         {&Guard{ProviderName: "struktr", Secret: secret}, ""},
		"signed, without one":           {&Guard{ProviderName: "struktr"}, "none is set"},
		"signed, insecure_unsigned":     {&Guard{ProviderName: "struktr", Secret: secret, InsecureUnsigned: true}, "leave the line out"},
		"a scheme with a name":          {&Guard{ProviderName: "twilio"}, "none is set"},
		"token, with a secret":          {&Guard{ProviderName: "okrapdf", Secret: secret, Provider: config.Provider{Token: "bearer"}}, ""},
		"token, without one":            {&Guard{ProviderName: "okrapdf", Provider: config.Provider{Token: "bearer"}}, "none is set"},
		"token, insecure_unsigned":      {&Guard{ProviderName: "okrapdf", Secret: secret, InsecureUnsigned: true, Provider: config.Provider{Token: "bearer"}}, "leave the line out"},
		"unsigned":                      {&Guard{ProviderName: "okrapdf"}, "token query"},
		"unsigned, with a secret":       {&Guard{ProviderName: "okrapdf", Secret: secret}, "token query"},
		"unsigned, insecure_unsigned":   {&Guard{ProviderName: "okrapdf", InsecureUnsigned: true}, ""},
		"unsigned, insecure, a secret":  {&Guard{ProviderName: "okrapdf", Secret: secret, InsecureUnsigned: true}, "token <source>"},
		"an empty secret among others":  {&Guard{ProviderName: "struktr", Secret: []Secret{{Value: "x"}, {}}}, "secret 2: it is empty"},
		"no provider":                   {&Guard{Secret: secret}, "name the provider"},
		"an unknown provider":           {&Guard{ProviderName: "nobody", Secret: secret}, `unknown provider "nobody"`},
		"an unknown answer to a store":  {&Guard{ProviderName: "struktr", Secret: secret, OnStoreError: "shrug"}, "neither reject nor forward"},
		"a prefix and nothing after it": {&Guard{ProviderName: "standard-webhooks", Secret: []Secret{{Value: "whsec_"}}}, "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard()
			g.ProviderName, g.Secret, g.InsecureUnsigned = tc.guard.ProviderName, tc.guard.Secret, tc.guard.InsecureUnsigned
			g.OnStoreError, g.Provider = tc.guard.OnStoreError, tc.guard.Provider
			err := g.provision()
			if tc.want != "" {
				wantText(t, err, tc.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSecretsAreTakenUntilTheirTime(t *testing.T) {
	now := time.Now()
	before, after := now.Add(-time.Second), now.Add(time.Second)
	for name, tc := range map[string]struct {
		secrets []Secret
		want    string
	}{
		"all of them past":     {[]Secret{{Value: "a", Until: &before}, {Value: "b", Until: &now}}, "every secret is past"},
		"one of them in force": {[]Secret{{Value: "a", Until: &before}, {Value: "b", Until: &after}}, ""},
		"one without an end":   {[]Secret{{Value: "a", Until: &before}, {Value: "b"}}, ""},
	} {
		g := newGuard()
		g.ProviderName, g.Secret, g.now = "struktr", tc.secrets, func() time.Time { return now }
		err := g.provision()
		if tc.want != "" {
			wantText(t, err, tc.want)
		} else if err != nil || len(g.secrets.fixed.secrets()) != len(tc.secrets) {
			t.Errorf("%s: %d secrets, %v", name, len(g.secrets.fixed.secrets()), err)
		}
	}
}

func TestPerRequestIsRefusedWhereTheSenderOrATenantCouldChoose(t *testing.T) {
	until := time.Now().Add(time.Hour)
	for name, tc := range map[string]struct {
		secret Secret
		scope  string
		want   string
	}{
		"a map's output":         {Secret{Value: "{tenant_secret}"}, "{tenant}", ""},
		"beside some text":       {Secret{Value: "pre-{tenant_secret}"}, "x-{tenant}", ""},
		"no placeholder":         {Secret{Value: "text"}, "{tenant}", "leave the word out"},
		"a header":               {Secret{Value: "{http.request.header.X-Key}"}, "{tenant}", "chosen by the sender"},
		"a query's value":        {Secret{Value: "{http.request.uri.query.key}"}, "{tenant}", "chosen by the sender"},
		"the host":               {Secret{Value: "key-{http.request.host}"}, "{tenant}", "chosen by the sender"},
		"a match of the request": {Secret{Value: "{http.regexp.path.1}"}, "{tenant}", "chosen by the sender"},
		"with until":             {Secret{Value: "{tenant_secret}", Until: &until}, "{tenant}", "do not go together"},
		"no scope":               {Secret{Value: "{tenant_secret}"}, "", "scope with a placeholder"},
		"a fixed scope":          {Secret{Value: "{tenant_secret}"}, "all", "scope with a placeholder"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard()
			tc.secret.PerRequest = true
			g.ProviderName, g.Scope, g.Secret = "struktr", tc.scope, []Secret{tc.secret}
			err := g.provision()
			if tc.want != "" {
				wantText(t, err, tc.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPerRequestSecretsAreLookedUpForEachRequest(t *testing.T) {
	g := newGuard()
	g.ProviderName, g.Scope = "struktr", "{tenant}"
	g.Secret = []Secret{{Value: "fixed"}, {Value: "{tenant_secret}", PerRequest: true}}
	if err := g.provision(); err != nil {
		t.Fatal(err)
	}
	for value, refused := range map[any]bool{"k1": false, "k2": false, "br{ace": false, "br{ac}e": false, `b\{r`: false, "": true, "{env.NOT_MAPPED}": true, "$KEY": true, nil: true} {
		repl := caddy.NewReplacer()
		if value != nil {
			repl.Set("tenant_secret", value)
		}
		set, refusal := g.secrets.of(repl)
		if refused {
			if refusal == nil || refusal.Result != webhook.SecretUnavailable {
				t.Errorf("%v: %v", value, refusal)
			}
			continue
		}
		if refusal != nil || len(set) != 2 || !set[0].Key.EqualText("fixed") || !set[1].Key.EqualText(value.(string)) {
			t.Errorf("%v: %d secrets, %v", value, len(set), refusal)
		}
	}
	if len(g.secrets.fixed.secrets()) != 1 {
		t.Errorf("one request's secrets are left to the others: %d", len(g.secrets.fixed.secrets()))
	}
}

// Requests run side by side: one must never see another tenant's secret.
func TestPerRequestSecretsAreNotSharedBetweenRequests(t *testing.T) {
	g := newGuard()
	g.ProviderName, g.Scope = "struktr", "{tenant}"
	g.Secret = []Secret{{Value: "1"}, {Value: "2"}, {Value: "3"}, {Value: "{tenant_secret}", PerRequest: true}}
	if err := g.provision(); err != nil {
		t.Fatal(err)
	}
	var sets [2][]signature.Secret
	for i, text := range []string{"a", "b"} {
		repl := caddy.NewReplacer()
		repl.Set("tenant_secret", text)
		sets[i], _ = g.secrets.of(repl)
	}
	if !sets[0][3].Key.EqualText("a") {
		t.Error("the first request has the second one's secret")
	}
}
