package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

func TestPublicURLIsResolvedWhenTheConfigurationLoads(t *testing.T) {
	t.Setenv("GUARD_BRACED", "https://hooks.example.com/{a}")
	t.Setenv("GUARD_NO_URL", "hooks.example.com")
	for text, want := range map[string]string{
		"https://hooks.example.com": "",
		"{env.GUARD_BRACED}":        "", // what was resolved is text
		"https://{tenant}":          "", // for each request
		"{env.GUARD_NO_URL}":        "public_url: write the URL",
		"{env.GUARD_UNSET}":         "public_url: ",
		"hooks.example.com":         "public_url: write the URL",
		"https://":                  "public_url: write the URL",
		"ftp://hooks.example.com":   "public_url: write the URL",
	} {
		g := newGuard()
		g.ProviderName, g.Secret = "square", []Secret{{Value: "opens-0123456789"}}
		g.PublicURL = text
		err := g.provision()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if strings.Contains(text, "BRACED") && (g.sender.Rules.PublicURL == nil || g.sender.Rules.PublicURL.Path != "/{a}") {
			t.Errorf("%s: %+v", text, g.sender.Rules.PublicURL)
		}
	}
}

// A tenant that no map knows has neither a secret nor a URL, and is refused for the secret. What is
// wrong with a request whoever it is for counts first.
func TestATenantThatNobodyKnowsHasNoURLEither(t *testing.T) {
	b := newBench(t, func(g *Guard) {
		g.ProviderName, g.Token, g.Scope, g.PublicURL = "square", "", "{tenant}", "{tenant_url}"
		g.Secret = []Secret{{Value: "{tenant_secret}", PerRequest: true}}
	})
	for name, tc := range map[string]struct {
		secret, url any // nil: no map knows it
		edit        func(r *http.Request)
		want        webhook.Result
	}{
		"nobody knows it":             {nil, nil, nil, webhook.SecretUnavailable},
		"a map has nothing for it":    {"", "", nil, webhook.SecretUnavailable},
		"it has a secret and no URL":  {"a-secret-of-the-tenant", "", nil, webhook.Misconfigured},
		"it has a secret and half of": {"a-secret-of-the-tenant", "https:/", nil, webhook.Misconfigured},
		"its signature is wrong":      {"a-secret-of-the-tenant", "https://a.example/in", nil, webhook.SignatureInvalid},
		"another method":              {nil, nil, func(r *http.Request) { r.Method = http.MethodGet }, webhook.MethodNotAllowed},
		"no signature":                {nil, nil, func(r *http.Request) { r.Header.Del("X-Square-Hmacsha256-Signature") }, webhook.SignatureMissing},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/in", strings.NewReader(`{"event_id":"1","created_at":"`+time.Now().UTC().Format(time.RFC3339)+`"}`))
			r.Header.Set("X-Square-Hmacsha256-Signature", strings.Repeat("A", 43)+"=")
			if tc.edit != nil {
				tc.edit(r)
			}
			w := httptest.NewRecorder()
			r = prepared(r, w)
			repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
			for name, value := range map[string]any{"tenant": "acme", "tenant_secret": tc.secret, "tenant_url": tc.url} {
				if value != nil {
					repl.Set(name, value)
				}
			}
			_ = b.guard.ServeHTTP(w, r, nil)
			if got := w.Header().Get(headerResult); got != string(tc.want) {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}
