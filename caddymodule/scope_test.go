package caddymodule

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func TestFingerprintTellsGuardsApart(t *testing.T) {
	t.Setenv("GUARD_TEST_SECRET", "x")
	base := func() *Guard { return &Guard{ProviderName: "struktr", Secret: []Secret{{Value: "x"}}} }
	for name, tc := range map[string]struct {
		edit func(*Guard)
		same bool
	}{
		"the same":               {func(*Guard) {}, true},
		"the same by reference":  {func(g *Guard) { g.Secret[0].Value = "{env.GUARD_TEST_SECRET}" }, true},
		"a file":                 {func(g *Guard) { g.Secret[0].Value = "{file./nowhere}" }, false},
		"another provider":       {func(g *Guard) { g.ProviderName = "ocriva" }, false},
		"another time limit":     {func(g *Guard) { g.MaxAge = 1e9 }, true},
		"another secret":         {func(g *Guard) { g.Secret[0].Value = "y" }, false},
		"one secret more":        {func(g *Guard) { g.Secret = append(g.Secret, Secret{Value: "y"}) }, false},
		"two that join into one": {func(g *Guard) { g.Secret = []Secret{{Value: ""}, {Value: "x"}} }, false},
		"other signed bytes":     {func(g *Guard) { g.Signed = []string{"{timestamp}.{body}"} }, false},
		"another header":         {func(g *Guard) { g.Signature = []signature.SignatureSpec{{Header: "X-B"}} }, false},
		"a secret twice":         {func(g *Guard) { g.Secret = append(g.Secret, g.Secret[0]) }, true},
		"another encoding":       {func(g *Guard) { g.SecretEncoding = "hex" }, false},
		"another ID":             {func(g *Guard) { g.ID = sourcesOf("body id") }, false},
		"a token":                {func(g *Guard) { g.Token = "bearer" }, false},
		"a scheme with a name":   {func(g *Guard) { g.Scheme = "twilio" }, false},
	} {
		a, b := base(), base()
		tc.edit(b)
		if got := a.fingerprint() == b.fingerprint(); got != tc.same {
			t.Errorf("%s: same %v", name, got)
		}
	}
}

func TestGuardsThatShareAScopeSaySo(t *testing.T) {
	t.Setenv("GUARD_TEST_SCOPE", "shared-by-both")
	type guard struct{ provider, scope, secret string }
	for name, tc := range map[string]struct {
		first, second guard
		want          string // "" where both load
	}{
		"one provider, nothing said":       {guard{"struktr", "", "x"}, guard{"struktr", "", "x"}, "or write the same scope line into both"},
		"another secret, nothing said":     {guard{"struktr", "", "x"}, guard{"struktr", "", "y"}, "a scope of its own"},
		"one says the default of another":  {guard{"struktr", "", "x"}, guard{"struktr", "struktr", "x"}, "or write the same scope line into both"},
		"another provider's default":       {guard{"struktr", "github", "x"}, guard{"github", "", "x"}, "a scope of its own"},
		"two that say so":                  {guard{"struktr", "a", "x"}, guard{"struktr", "a", "x"}, ""},
		"one text in two ways":             {guard{"struktr", "{env.GUARD_TEST_SCOPE}", "x"}, guard{"struktr", "shared-by-both", "y"}, "other secrets"},
		"two that say so, of tenants":      {guard{"struktr", "{tenant}", "x"}, guard{"struktr", "{tenant}", "x"}, ""},
		"one says another":                 {guard{"struktr", "", "x"}, guard{"struktr", "b", "y"}, ""},
		"two scopes":                       {guard{"struktr", "a", "x"}, guard{"struktr", "b", "x"}, ""},
		"two providers":                    {guard{"struktr", "", "x"}, guard{"github", "", "x"}, ""},
		"two say so, with other secrets":   {guard{"struktr", "a", "x"}, guard{"struktr", "a", "y"}, "other secrets"},
		"two say so, with other providers": {guard{"struktr", "a", "x"}, guard{"github", "a", "x"}, "another provider"},
	} {
		t.Run(name, func(t *testing.T) {
			app := newGuard().app
			provision := func(c guard, place string) error {
				g := newGuard()
				g.app, g.ProviderName, g.Scope, g.Secret, g.place = app, c.provider, c.scope, []Secret{{Value: c.secret}}, place
				return g.provision()
			}
			if err := provision(tc.first, "/ci"); err != nil {
				t.Fatal(err)
			}
			err := provision(tc.second, "/chat")
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for _, text := range []string{tc.want, "webhook_guard " + tc.first.provider, "webhook_guard " + tc.second.provider, "(/ci)", "(/chat)", "scope <name>"} {
				wantText(t, err, text)
			}
		})
	}
}

func TestAScopeThatTheSenderChoosesIsRefusedBesideOneSecret(t *testing.T) {
	fixed, perRequest := Secret{Value: "x"}, Secret{Value: "{tenant_secret}", PerRequest: true}
	for name, tc := range map[string]struct {
		scope   string
		secrets []Secret
		refused bool
	}{
		"a header":                       {"t-{http.request.header.X-Tenant}", []Secret{fixed}, true},
		"a query's value":                {"{http.request.uri.query.tenant}", []Secret{fixed}, true},
		"a cookie":                       {"{http.request.cookie.tenant}", []Secret{fixed}, true},
		"the path":                       {"{http.request.uri.path.1}", []Secret{fixed}, true},
		"a match of the request":         {"{http.regexp.1}", []Secret{fixed}, true},
		"the host":                       {"{http.request.host}", []Secret{fixed}, false},
		"a label of the host":            {"{http.request.host.labels.2}", []Secret{fixed}, false},
		"the host with the port":         {"{http.request.hostport}", []Secret{fixed}, true},
		"the client's address":           {"{http.vars.client_ip}", []Secret{fixed}, true},
		"the server's name in TLS":       {"{http.request.tls.server_name}", []Secret{fixed}, true},
		"the server's address":           {"{http.request.local.host}", []Secret{fixed}, true},
		"a file that matched":            {"{http.matchers.file.relative}", []Secret{fixed}, true},
		"the time":                       {"{time.now.unix}", []Secret{fixed}, true},
		"one secret for all requests":    {"{http.request.header.X-Tenant}", []Secret{{Value: "{env.HOME}x", PerRequest: true}}, true},
		"a map's output":                 {"{tenant}", []Secret{fixed}, false},
		"a header, with tenants' keys":   {"{http.request.header.X-Tenant}", []Secret{perRequest}, false},
		"a header, and one fixed secret": {"{http.request.header.X-Tenant}", []Secret{perRequest, fixed}, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard()
			g.ProviderName, g.Scope, g.Secret = "struktr", tc.scope, tc.secrets
			if err := g.provision(); tc.refused {
				wantText(t, err, "chosen by the sender")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOneHostIsOneScope(t *testing.T) {
	g := newGuard()
	g.ProviderName, g.Scope, g.Secret = "struktr", "{http.request.host}", []Secret{{Value: "x"}}
	if err := g.provision(); err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"hooks.example.com", "Hooks.Example.COM", "hooks.example.com.", "HOOKS.example.com...", "hookſ.example.com", "HOOKS.example.com"} {
		repl := caddy.NewReplacer()
		repl.Set("http.request.host", host)
		if scope, refused := g.scope.resolve(repl); refused != nil || scope != "hooks.example.com" {
			t.Errorf("%s: %q, %v", host, scope, refused)
		}
	}
}

func TestAScopeIsResolvedOnce(t *testing.T) {
	g := newGuard()
	g.ProviderName, g.Scope, g.Secret = "struktr", "{tenant}", []Secret{{Value: "x"}}
	if err := g.provision(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"br{ace", "{tenant}", `\{x\}`} {
		repl := caddy.NewReplacer()
		repl.Set("tenant", name)
		if scope, refused := g.scope.resolve(repl); refused != nil || scope != name {
			t.Errorf("%s: %q, %v", name, scope, refused)
		}
	}
}

// The whole of Caddy loads the configuration, so that routes are what they are there.
func TestARefusalNamesWhereBothGuardsAre(t *testing.T) {
	const routes = `[
		{"match":[{"host":["hooks.example.com"]}],"handle":[{"handler":"subroute","routes":[
			{"match":[{"path":["/ci"]}],"handle":[{"handler":"subroute","routes":[{"handle":[{"handler":"webhook_guard","provider":"github","secret":[{"value":"one-secret-0123456789"}]}]}]}]}]}]},
		{"match":[{"path":["/chat"]}],"handle":[{"handler":"webhook_guard","provider":"github","secret":[{"value":"one-secret-0123456789"}]}]}]`
	var cfg caddy.Config
	text := `{"apps":{"webhook_guard":{"store":{"kind":"memory"}},"http":{"servers":{"a":{"listen":[":18080"],"routes":` + routes + `}}}}}`
	if err := caddy.StrictUnmarshalJSON([]byte(text), &cfg); err != nil {
		t.Fatal(err)
	}
	err := caddy.Validate(&cfg)
	wantText(t, err, "(:18080 hooks.example.com /ci)")
	wantText(t, err, "(:18080 /chat)")
	if strings.Contains(err.Error(), "one-secret") {
		t.Error("the secret is in the error")
	}
}
