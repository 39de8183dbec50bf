package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// oneSecret is the secret of a guard with some scope.
const oneSecret = "one-and-the-same-secret"

// named is a site whose guard has a secret that stays the same, and this scope. before
// stands before the guard.
func named(before, scope, app string) string {
	return before + "\nwebhook_guard github {\n\tsecret " + oneSecret + "\n\tscope " + scope + "\n}\n" + app
}

// Beside one secret, a scope that a sender chooses would let one captured request pass
// once for each name. In every spelling, and through the handlers before the guard.
func TestAttackScopeThatTheSenderChooses(t *testing.T) {
	t.Parallel()
	refused := map[string][2]string{}
	for _, scope := range []string{
		"{header.X-Tenant}", "{http.request.header.X-Tenant}", "t-{header.X-Tenant}-{host}", "{query.tenant}", "{http.request.uri.query.tenant}", "{query}", "{?query}",
		"{cookie.tenant}", "{path}", "{path.0}", "{http.request.uri.path.0}", "{file}", "{dir}", "{uri}", "{orig_uri}", "{orig_path}", "{http.request.orig_uri.path.0}",
		"{method}", "{orig_method}", "{scheme}", "{http.request.proto}", "{hostport}", "{port}", "{remote}", "{remote_host}", "{remote_port}", "{client_ip}",
		"{http.request.remote.host/24}", "{uuid}", "{tls_version}", "{http.request.tls.server_name}", "{http.request.local.host}", "{re.1}", "{http.regexp.name.1}",
		"{file_match.relative}", "{http.request.body}", "{time.now.unix}",
	} {
		refused[scope] = [2]string{"", scope}
	}
	for what, pair := range map[string][2]string{
		"a map of a header":           {"map {header.X-Tenant} {tenant} {\n\ta acme\n\tdefault other\n}", "{tenant}"},
		"a map of the path":           {"map {path} {tenant} {\n\t~^/(\\w+) $1\n}", "t-{tenant}"},
		"a map's default":             {"map {host} {tenant} {\n\ta.test acme\n\tdefault {header.X-Tenant}\n}", "{tenant}"},
		"a map's output":              {"map {host} {tenant} {\n\ta.test {query.tenant}\n\tdefault other\n}", "{tenant}"},
		"a map of a map":              {"map {header.X-A} {first} {\n\tdefault b\n}\nmap {first} {tenant} {\n\tdefault c\n}", "{tenant}"},
		"a variable":                  {"vars tenant {header.X-Tenant}", "{vars.tenant}"},
		"a variable of a map":         {"map {query.t} {first} {\n\tdefault b\n}\nvars tenant {first}", "{http.vars.tenant}"},
		"a variable of the host":      {"vars tenant t-{host}", "{vars.tenant}"},
		"a map of such a variable":    {"vars who {labels.1}\nmap {vars.who} {tenant} {\n\ta acme\n\tdefault other\n}", "{tenant}"},
		"a variable in a route":       {"route {\n\tvars tenant {header.X-Tenant}\n}", "{vars.tenant}"},
		"a variable under a matcher":  {"@a path /a\nvars @a tenant {header.X-Tenant}", "{vars.tenant}"},
		"a map in the handle's route": {"map {header.X-Tenant} {tenant} {\n\tdefault b\n}\nheader X-A b", "{tenant}"},
	} {
		refused[what] = pair
	}
	for what, pair := range refused {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for _, site := range []string{
				"http://a.test {\n" + named(pair[0], pair[1], "respond ok") + "\n}\n",
				"http://a.test {\nroute /x* {\n" + named(pair[0], pair[1], "respond ok") + "\n}\n}\n",
			} {
				out, err := validate(t, "Caddyfile", site)
				if err == nil || !containsAll(out, "scope", "chosen by the sender", "per_request") || strings.Contains(out, oneSecret) {
					t.Errorf("%v, %s, of\n%s", err, out, site)
				}
			}
		})
	}
	for what, site := range map[string]string{
		"the host":                 named("", "{host}", "respond ok"),
		"a label of the host":      named("", "{labels.1}", "respond ok"),
		"a map of the host":        named("map {host} {tenant} {\n\ta.test acme\n\tdefault other\n}", "{tenant}", "respond ok"),
		"a plain name":             named("", "acme", "respond ok"),
		"an environment's":         named("", "{env.HOME}", "respond ok"),
		"a map with the secrets":   "map {header.X-Tenant} {tenant} {key} {\n\ta acme {env.A_KEY}\n}\nwebhook_guard github {\n\tsecret {key} per_request\n\tscope {tenant}\n}\nrespond ok",
		"a variable without a map": named("vars tenant acme", "{vars.tenant}", "respond ok"),
	} {
		if out, err := validate(t, "Caddyfile", "http://a.test {\n"+site+"\n}\n"); err != nil {
			t.Errorf("%s: %v, %s", what, err, out)
		}
	}
}

// Where each tenant has a secret, the scope must not be chosen apart from it.
func TestAttackScopeThatTheSecretDoesNotDependOn(t *testing.T) {
	t.Parallel()
	guard := func(before, secret, scope string) string {
		return "http://a.test {\n" + before + "\nwebhook_guard github {\n\tsecret " + secret + " per_request\n\tscope " + scope + "\n}\nrespond ok\n}\n"
	}
	for what, site := range map[string]string{
		"the same secret for all":  guard("", "{env.ONE_KEY}", "{header.X-Tenant}"),
		"a secret of the host":     guard("map {host} {key} {\n\ta.test {env.A_KEY}\n}", "{key}", "{header.X-Tenant}"),
		"a secret of the path":     guard("map {path} {key} {\n\t/a {env.A_KEY}\n}", "{key}", "{path}-{query.t}"),
		"a secret that is sent":    guard("map {host} {key} {\n\ta.test {header.X-Key}\n}", "{key}", "{host}"),
		"a secret that is matched": guard("map {path} {key} {\n\t~^/(.*)$ $1\n}", "{key}", "{path}"),
		"a scope that never is":    guard("map {host} {key} {\n\ta.test {env.A_KEY}\n}", "{key}", "{env.HOME}"),
		"one default for all":      guard("map {header.X-T} {key} {\n\ta {env.A_KEY}\n\tdefault {env.B_KEY}\n}", "{key}", "{header.X-T}"),
		"one secret for a pattern": guard("map {header.X-T} {key} {\n\t~^a.* {env.A_KEY}\n}", "{key}", "t-{header.X-T}"),
		"a part of what matched":   guard("map {path} {tenant} {key} {\n\t~^/(.*)$ t-$1 {env.A_KEY}\n}", "{key}", "{tenant}"),
		"two names of one secret":  guard("map {header.X-T} {tenant} {key} {\n\ta t1 {env.A_KEY}\n\tb t2 {env.A_KEY}\n}", "{key}", "{tenant}"),
		"two names as they are":    guard("map {header.X-T} {key} {\n\ta {env.A_KEY}\n\tb {env.A_KEY}\n}", "{key}", "{header.X-T}"),
		"in two maps":              guard("map {query.t} {key} {\n\ta {env.A_KEY}\n\tb {env.A_KEY}\n}\nmap {query.t} {tenant} {\n\ta t1\n\tdefault t2\n}", "{key}", "{tenant}"),
		"behind a map":             guard("map {header.X-T} {name} {\n\ta x\n\tb x\n}\nmap {name} {key} {\n\tx {env.A_KEY}\n}", "{key}", "{header.X-T}"),
		"a number":                 guard("map {header.X-T} {tenant} {key} {\n\ta 1 12345678901234567\n\tb 2 12345678901234567\n}", "{key}", "{tenant}"),
		"a default behind a map":   guard("map {header.X-T} {name} {\n\tdefault x\n}\nmap {name} {key} {\n\tx {env.A_KEY}\n}", "{key}", "{header.X-T}"),
		"a pattern behind a map":   guard("map {query.t} {name} {\n\t~. x\n}\nmap {name} {key} {\n\tx {env.A_KEY}\n}", "{key}", "{query.t}"),
	} {
		if out, err := validate(t, "Caddyfile", site); err == nil || !containsAll(out, "webhook_guard", "scope") {
			t.Errorf("%s: %v, %s", what, err, out)
		}
	}
}

// Two guards that share a scope have the same secrets, in whatever words they are written.
func TestAttackScopeOfOtherSecrets(t *testing.T) {
	guard := func(path, before, lines string) string {
		return "handle /" + path + " {\nroute {\n" + before + "\nwebhook_guard github {\n" + lines + "\n}\nrespond ok\n}\n}\n"
	}
	tenants := func(key string) string { return "map {host} {tenant} {key} {\na.test acme " + key + "\n}" }
	const perRequest = "secret {key} per_request\nscope {tenant}"
	t.Setenv("SHARED_SCOPE", "shared")
	for what, c := range map[string]struct {
		first, second string
		refused       bool
	}{
		"other secrets":           {guard("a", "", "secret "+oneSecret+"\nscope shared"), guard("b", "", "secret "+oneSecret+"2\nscope shared"), true},
		"a scope in other words":  {guard("a", "", "secret "+oneSecret+"\nscope shared"), guard("b", "", "secret "+oneSecret+"2\nscope {env.SHARED_SCOPE}"), true},
		"one secret more":         {guard("a", "", "secret "+oneSecret+"\nscope shared"), guard("b", "", "secret "+oneSecret+"\nsecret "+oneSecret+"2\nscope shared"), true},
		"another encoding":        {guard("a", "", "secret 0123456789abcdef0123456789abcdef\nscope shared"), guard("b", "", "secret 0123456789abcdef0123456789abcdef\nsecret_encoding hex\nscope shared"), true},
		"maps of other secrets":   {guard("a", tenants("{env.A}"), perRequest), guard("b", tenants("{env.B}"), perRequest), true},
		"maps of the same":        {guard("a", tenants("{env.A}"), perRequest), guard("b", tenants("{env.A}"), perRequest), false},
		"maps of other routes":    {guard("a", "map {header.X} {tenant} {key} {\na acme {env.A}\n}", perRequest), guard("b", "map {host} {tenant} {\ndefault b\n}", "secret "+oneSecret+"\nscope b-{tenant}"), false},
		"the same, in two orders": {guard("a", "", "secret "+oneSecret+"\nsecret "+oneSecret+"2\nscope shared"), guard("b", "", "secret "+oneSecret+"2\nsecret "+oneSecret+"\nscope shared"), false},
	} {
		out, err := validate(t, "Caddyfile", "http://a.test {\n"+c.first+c.second+"}\n")
		if c.refused != (err != nil) || c.refused && !containsAll(out, "other secrets", "scope <name>") || strings.Contains(out, oneSecret) {
			t.Errorf("%s: %v, %s", what, err, out)
		}
	}
}

// One host in any spelling is one scope and one tenant, through maps as well.
func TestAttackHostInManySpellings(t *testing.T) {
	t.Parallel()
	const other = "the-secret-of-all-others"
	app := testbed.StartApp(t, nil)
	tenants := "map {host} {tenant} {key} {\n\thooks.example.com acme " + oneSecret + "\n\tdefault other " + other + "\n}"
	third := "map {labels.2} {third} {\n\thooks acme-3\n\tdefault other-3\n}"
	routes := ""
	for path, guard := range map[string]string{
		"host": named("", "{host}", proxy(app)), "labels": named("", "{labels.2}-{labels.1}", proxy(app)), "long": named("", "x-{http.request.host.labels.0}", proxy(app)),
		"map": named(tenants, "{tenant}", proxy(app)), "map-of-a-label": named(third, "{third}", proxy(app)),
		"tenants": tenants + "\nwebhook_guard github {\n\tsecret {key} per_request\n\tscope t-{http.request.host}\n}\n" + proxy(app),
	} {
		routes += fmt.Sprintf("handle /%s {\n\troute {\n%s\n}\n}\n", path, guard)
	}
	g := site{store: "memory", routes: routes}.start(t)
	const warning = "name the hosts of the site"
	if !strings.Contains(g.Output(), warning) {
		t.Error("a scope of any host is not warned of")
	}
	for address, warns := range map[string]bool{"http://a.test, http://b.test": false, "http://*.a.test": true} {
		out, err := validate(t, "Caddyfile", address+" {\n"+named("", "{host}", "respond ok")+"\n}\n")
		if err != nil || strings.Contains(out, warning) != warns {
			t.Errorf("%s: warned %v, %v, %s", address, !warns, err, out)
		}
	}
	for tenants, warns := range map[string]bool{
		"map {header.X-T} {key} {\n\tacme " + oneSecret + "\n}":                        true,
		"map {host} {key} {\n\tx.a.test " + other + "\n\tdefault " + oneSecret + "\n}": true,
		"map {host} {key} {\n\tx.a.test " + other + "\n}":                              false,
	} {
		out, err := validate(t, "Caddyfile", "http://*.a.test {\n"+tenants+"\nwebhook_guard github {\n\tsecret {key} per_request\n\tscope {host}\n}\nrespond ok\n}\n")
		if err != nil || strings.Contains(out, warning) != warns {
			t.Errorf("%s: warned %v, %v, %s", tenants, !warns, err, out)
		}
	}
	send := func(path, key, host string) testbed.Response {
		event := githubEvent("/"+path, key, "h1")
		req, err := http.NewRequest(http.MethodPost, g.URL(event.path), strings.NewReader(event.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		for i := 0; i+1 < len(event.headers); i += 2 {
			req.Header.Set(event.headers[i], event.headers[i+1])
		}
		return testbed.Do(t, req)
	}
	spellings := []string{
		"hooks.example.com", "Hooks.Example.Com", "hooks.example.com.", "hooks.example.com..", "HOOKS.EXAMPLE.COM.:80", "hooks.example.com:8080", "hooks.example.com:",
	}
	for _, path := range []string{"host", "labels", "long", "map", "map-of-a-label", "tenants"} {
		for i, host := range spellings {
			want := "duplicate"
			if i == 0 {
				want = "forwarded"
			}
			wantResult(t, path+" at "+host, send(path, oneSecret, host), http.StatusOK, want)
		}
	}
	for _, host := range spellings {
		wantResult(t, "another tenant's secret at "+host, send("tenants", other, host), http.StatusUnauthorized, "signature_invalid")
	}
}
