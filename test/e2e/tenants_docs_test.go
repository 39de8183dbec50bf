package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// tenantFile replaces the secret of a tenant, as operations.md says that files are replaced.
func tenantFile(t *testing.T, dir, name, secret string) {
	t.Helper()
	file := filepath.Join(dir, name)
	must(t, os.WriteFile(file+".new", []byte(secret+"\n"), 0o600))
	must(t, os.Rename(file+".new", file))
}

// documentedTenants runs a configuration of tenants.md, with secrets in files.
func documentedTenants(t *testing.T, heading string, app *testbed.App) (g *testbed.Gateway, dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"tenant-a", "tenant-a-old", "tenant-b"} {
		tenantFile(t, dir, name, "canary-secret-of-"+name)
	}
	here := strings.NewReplacer("/run/secrets", dir, "*.hooks.example.com {", "http://*.hooks.example.com:{$PORT} {", "\nhooks.example.com {", "\nhttp://:{$PORT} {",
		"tls internal", "", "reverse_proxy 127.0.0.1:5000", proxy(app))
	config := here.Replace("\n" + strings.TrimPrefix(sectionBlocks(t, "tenants.md", heading, "caddyfile")[0], "\n"))
	return testbed.StartGateway(t, "{\n\tadmin 127.0.0.1:{$ADMIN}\n}"+config), dir
}

// What tenants.md shows: each tenant has its secret and its namespace, one that nobody knows is
// refused and named, and a file that changes needs no reload.
func TestTheDocumentedTenantsShareNothing(t *testing.T) {
	t.Parallel()
	for heading, ask := range map[string]func(r *http.Request, tenant string) (asked string){
		"By host": func(r *http.Request, tenant string) string {
			r.URL.Path, r.Host = "/webhooks", tenant+".hooks.example.com"
			return r.Host
		},
		"By path": func(r *http.Request, tenant string) string {
			r.URL.Path = "/webhooks/" + tenant
			return r.URL.Path
		},
		"By header": func(r *http.Request, tenant string) string {
			r.URL.Path = "/webhooks"
			r.Header.Set("X-Tenant", tenant)
			return tenant
		},
	} {
		t.Run(heading, func(t *testing.T) {
			t.Parallel()
			app := testbed.StartApp(t, nil)
			g, dir := documentedTenants(t, heading, app)
			s := testbed.GitHub()
			e := testbed.Event{}.Fill()
			asked := ""
			send := func(tenant, secret string, e testbed.Event) testbed.Response {
				s.Secret = secret
				req := s.Request(t, g.URL(""), e)
				asked = ask(req, tenant)
				return testbed.Do(t, req)
			}
			for _, result := range []string{"forwarded", "duplicate"} {
				for _, tenant := range []string{"a", "b"} {
					want(t, send(tenant, "canary-secret-of-tenant-"+tenant, e), 200, result)
				}
			}
			wantCalls(t, app, 2)
			if got := last(t, app).Header.Get("Webhook-Guard-Scope"); got != "b" {
				t.Errorf("the app got the scope %q", got)
			}
			wantRefused(t, send("a", "canary-secret-of-tenant-b", testbed.Event{}), 401, "signature_invalid")
			wantFields(t, waitLogged(t, g, "refused", 1), map[string]any{"scope": "a"})
			wantRefused(t, send("c", "canary-secret-of-tenant-a", testbed.Event{}), 503, "secret_unavailable")
			entry := waitLogged(t, g, "refused", 2)
			wantFields(t, entry, map[string]any{"level": "warn", "tenant": asked})
			if heading == "By header" {
				var documented map[string]any
				must(t, json.Unmarshal([]byte(sectionBlocks(t, "tenants.md", "A tenant that nobody knows", "json")[0]), &documented))
				wantFields(t, entry, documented)
			}

			tenantFile(t, dir, "tenant-a", "canary-another-secret-of-a")
			want(t, send("a", "canary-another-secret-of-a", testbed.Event{}), 200, "forwarded")
			wantRefused(t, send("a", "canary-secret-of-tenant-a", testbed.Event{}), 401, "signature_invalid")
			must(t, os.Remove(filepath.Join(dir, "tenant-a")))
			wantRefused(t, send("a", "canary-another-secret-of-a", testbed.Event{}), 503, "secret_unavailable")
			want(t, send("b", "canary-secret-of-tenant-b", testbed.Event{}), 200, "forwarded")
			wantCalls(t, app, 4)
		})
	}
}

// A tenant with an inbox of its own fills that one, and not the others'.
func TestADocumentedTenantWithAnInboxOfItsOwn(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g, _ := documentedTenants(t, "What tenants share", app)
	s := testbed.GitHub()
	for i, tenant := range []string{"a", "b"} {
		s.Secret = "canary-secret-of-tenant-" + tenant
		req := s.Request(t, g.URL(""), testbed.Event{})
		req.URL.Path = "/webhooks/" + tenant
		want(t, testbed.Do(t, req), 200, "accepted")
		testbed.Eventually(t, soon, func() bool { return app.Count() == i+1 }, "the app did not get it")
		if got := last(t, app).Header.Get("Webhook-Guard-Scope"); got != tenant {
			t.Errorf("the app got the scope %q", got)
		}
		name := map[string]string{"a": "a", "b": "others"}[tenant]
		testbed.Eventually(t, soon, func() bool { return metric(g, "webhook_guard_inbox_attempts_total", "inbox", name) >= 1 }, "an attempt of the inbox "+name)
	}
}

// What somebody has added to a captured event that came first is not what the app gets, where
// the deliver block takes it out.
func TestADeliverBlockTakesUnsignedPartsOut(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	s := testbed.GitHub()
	g := testbed.StartGateway(t, fmt.Sprintf(`{
	admin 127.0.0.1:{$ADMIN}
}
http://:{$PORT} {
	webhook_guard github {
		secret %s
		inbox captured {
			deliver {
				request_header -Content-Encoding
				request_header Content-Type application/json
				rewrite * {path}?
				%s
			}
		}
	}
}
`, s.Secret, "reverse_proxy "+app.Addr()))
	req := s.Request(t, g.URL(""), testbed.Event{})
	req.URL.RawQuery = "added=1"
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("Content-Type", "text/plain")
	want(t, testbed.Do(t, req), 200, "accepted")
	testbed.Eventually(t, soon, func() bool { return app.Count() == 1 }, "the app did not get it")
	if got := last(t, app); got.Header.Get("Content-Encoding") != "" || got.Header.Get("Content-Type") != "application/json" || got.URL != req.URL.Path {
		t.Errorf("the app got %s with %v", got.URL, got.Header)
	}
}

// While a tenant's secret is rotated, the access log and the metric say who uses the old one.
func TestTheDocumentedRotationOfATenant(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g, dir := documentedTenants(t, "Rotate one tenant's secret", app)
	s := testbed.GitHub()
	n := 0
	send := func(tenant, secret string, status int, index any) {
		t.Helper()
		s.Secret = secret
		req := s.Request(t, g.URL(""), testbed.Event{})
		req.URL.Path = "/webhooks/" + tenant
		if resp := testbed.Do(t, req); resp.Status != status {
			t.Errorf("%s: %v, want %d", tenant, resp, status)
		}
		n++
		wantFields(t, waitLogged(t, g, "handled request", n), map[string]any{"matched_secret": index})
	}
	send("a", "canary-secret-of-tenant-a", 200, "0")
	send("a", "canary-secret-of-tenant-a-old", 200, "1")
	send("b", "canary-secret-of-tenant-b", 200, "0")
	if got := metric(g, "webhook_guard_secret_matches_total", "scope", "{tenant}", "secret", "1"); got != 1 {
		t.Errorf("the old secret has matched %v times", got)
	}
	tenantFile(t, dir, "tenant-a-old", "canary-secret-of-tenant-a")
	send("a", "canary-secret-of-tenant-a-old", 401, nil)
	send("a", "canary-secret-of-tenant-a", 200, "0")
	if got := fmt.Sprint(metric(g, "webhook_guard_secret_matches_total", "secret", "1")); got != "1" {
		t.Errorf("the old secret has matched %s times", got)
	}
}

// A host that a map has in a spelling that is never looked up is warned of, and the log names it as
// it was looked up.
func TestAHostWithCapitalsInTheMapIsWarnedOf(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	s := testbed.GitHub()
	g := testbed.StartGateway(t, fmt.Sprintf(`{
	admin 127.0.0.1:{$ADMIN}
}
http://acme.example.com:{$PORT}, http://b.example.com:{$PORT} {
	map {host} {tenant} {tenant_secret} {
		Acme.example.com acme %[1]s
		b.example.com b %[1]s2
	}
	webhook_guard github {
		secret {tenant_secret} per_request
		scope {tenant}
	}
	%[2]s
}
`, s.Secret, proxy(app)))
	wantFields(t, waitLogged(t, g, "a map knows hosts that no request has, so that these tenants are refused: write them in lower case, without a dot at the end", 1),
		map[string]any{"level": "warn", "scope": "{tenant}", "hosts": []any{"Acme.example.com"}})
	wantRefused(t, testbed.Do(t, tenant(t, s, g.URL(""), s.Secret, "Acme.example.com", testbed.Event{})), 503, "secret_unavailable")
	wantFields(t, waitLogged(t, g, "refused", 1), map[string]any{"tenant": "acme.example.com", "host": "Acme.example.com"})
	want(t, testbed.Do(t, tenant(t, s, g.URL(""), s.Secret+"2", "B.Example.Com", testbed.Event{})), 200, "forwarded")
}
