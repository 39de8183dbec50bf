package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// logged are the entries of a gateway's log with this message.
func logged(g *testbed.Gateway, message string) (entries []map[string]any) {
	for line := range strings.Lines(g.Output()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message {
			entries = append(entries, entry)
		}
	}
	return entries
}

// waitLogged waits until there are this many of them, and returns the last.
func waitLogged(t *testing.T, g *testbed.Gateway, message string, n int) map[string]any {
	t.Helper()
	testbed.Eventually(t, soon, func() bool { return len(logged(g, message)) >= n }, fmt.Sprintf("%d lines %q", n, message))
	return logged(g, message)[n-1]
}

// wantFields fails the test unless an entry has these fields; any is any value but none.
const anyValue = "any"

func wantFields(t *testing.T, entry map[string]any, expected map[string]any) {
	t.Helper()
	for name, value := range expected {
		got, there := entry[name]
		if value == anyValue && there && got != "" {
			continue
		}
		if !there || fmt.Sprint(got) != fmt.Sprint(value) {
			t.Errorf("%q: %s is %v, want %v", entry["msg"], name, got, value)
		}
	}
}

// Each outcome has its line, at the level of who has to act on it, and a field in the access
// log.
func TestEachOutcomeHasItsLineAndItsFieldInTheAccessLog(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
		if strings.Contains(string(d.Body), "fails") {
			return testbed.Answer{Status: 500}
		}
		return testbed.Answer{}
	})
	routes := "\tlog\n" + route("", "docrouter", proxy(app), "secret "+testbed.DocRouter().Secret, "scope eu")
	g := site{store: "memory", global: "debug", routes: routes}.start(t)
	s := testbed.DocRouter()
	e := testbed.Event{}.Fill()
	id := facts(s, e)["Webhook-Guard-Id"]
	access := 0
	uuid := any(nil) // of the guard's last line
	wantAccess := func(fields map[string]any) {
		t.Helper()
		access++
		entry := waitLogged(t, g, "handled request", access)
		got, _ := entry["webhook_guard"].(map[string]any)
		if fmt.Sprint(got) != fmt.Sprint(fields) {
			t.Errorf("the access log has %v, want %v", got, fields)
		}
		if uuid != entry["uuid"] {
			t.Errorf("the access log has the request ID %v, the line before it %v", entry["uuid"], uuid)
		}
	}
	own := map[string]any{"provider": "docrouter", "scope": "eu", "logger": "http.handlers.webhook_guard"}
	line := func(message string, n int, fields map[string]any) {
		t.Helper()
		entry := waitLogged(t, g, message, n)
		uuid = entry["uuid"]
		wantFields(t, entry, own)
		wantFields(t, entry, fields)
	}
	event := func(id string) map[string]any {
		return map[string]any{"result": "", "provider": "docrouter", "scope": "eu", "id": id, "event": facts(s, e)["Webhook-Guard-Event"]}
	}
	with := func(fields map[string]any, result string) map[string]any {
		fields = maps.Clone(fields)
		fields["result"] = result
		return fields
	}

	want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "forwarded")
	line("forwarded", 1, map[string]any{"level": "debug", "id": id, "status": 200})
	wantAccess(with(event(id), "forwarded"))

	want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), 200, "duplicate")
	line("duplicate", 1, map[string]any{"level": "debug", "id": id, "status": 200, "matched": "id"})
	wantAccess(with(event(id), "duplicate"))

	forged := s.Request(t, g.URL(""), testbed.Event{})
	forged.URL.RawQuery = "token=canary"
	forged.Header.Set(s.SignatureHeader, "sha256="+strings.Repeat("0", 64))
	want(t, testbed.Do(t, forged), 401, "signature_invalid")
	line("refused", 1, map[string]any{
		"level": "info", "result": "signature_invalid", "reason": anyValue, "client_ip": "127.0.0.1", "host": forged.URL.Host,
		"path": "/webhooks/docrouter", "uuid": anyValue,
	})
	if entry := logged(g, "refused")[0]; strings.Contains(fmt.Sprint(entry), "canary") {
		t.Errorf("the query is in the line: %v", entry)
	}
	wantAccess(map[string]any{"result": "signature_invalid", "provider": "docrouter", "scope": "eu"})

	failing := testbed.Event{Type: "fails"}.Fill()
	want(t, testbed.Do(t, s.Request(t, g.URL(""), failing)), 500, "upstream_failed")
	failed := facts(s, failing)["Webhook-Guard-Id"]
	line("app failed", 1, map[string]any{"level": "warn", "result": "upstream_failed", "id": failed, "status": 500, "duration": anyValue, "uuid": anyValue})
	fields := with(event(failed), "upstream_failed")
	fields["event"] = "fails"
	wantAccess(fields)
}

// Of a flood a part is written, and the lines say how many were not: nothing is lost to the
// count.
func TestALoggedFloodIsSampledAndCounted(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := setup{store: "memory", app: app}.start(t)
	s := testbed.DocRouter()
	forged := s.Request(t, g.URL(""), testbed.Event{})
	forged.Header.Set(s.SignatureHeader, "sha256="+strings.Repeat("0", 64))
	conn := dial(t, forged)
	answers := bufio.NewReader(conn)
	sent, request := 0, wire(forged, "Content-Length: 0")
	// Nothing is waited for between two requests, so that they are a flood on a busy machine too.
	forge := func(n int) {
		say(t, conn, strings.Repeat(request, n))
		for range n {
			resp, err := http.ReadResponse(answers, nil)
			must(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			must(t, errors.Join(err, resp.Body.Close()))
		}
		sent += n
	}
	counted := func() (lines, held int) {
		for _, entry := range logged(g, "refused") {
			lines++
			n, _ := entry["held_back"].(float64)
			held += int(n)
		}
		return lines, held
	}
	testbed.Eventually(t, soon, func() bool {
		forge(200)
		_, held := counted()
		return held > 0
	}, "a line that says how many were held back")
	// A line of a later second completes the count.
	testbed.Eventually(t, soon, func() bool {
		forge(1)
		lines, held := counted()
		return lines+held == sent
	}, "each refusal in a line or in held_back")
	if lines, _ := counted(); lines == sent {
		t.Errorf("all of %d refusals were written", sent)
	}
	if got := metric(g, "webhook_guard_requests_total", "provider", "docrouter", "result", "signature_invalid"); got != float64(sent) {
		t.Errorf("the metric counts %v of %d refusals", got, sent)
	}
}

// The tenant is named in the lines of its failed requests, though nobody has proved to be its
// sender. One that nobody knows is named as it was asked for.
func TestRefusedLinesNameTheTenant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scope, source string
		ask           func(r *http.Request, tenant string)
		named         func(tenant string) string
		others        string // the tenant that the map makes of all that it does not know
	}{
		"host":                   {"", "{host}", func(r *http.Request, tenant string) { r.Host = tenant }, func(tenant string) string { return tenant }, ""},
		"path":                   {"", "{path}", func(r *http.Request, tenant string) { r.URL.Path += "/" + tenant }, func(tenant string) string { return "/webhooks/docrouter/" + tenant }, ""},
		"header":                 {"eu-", "{header.X-Tenant}", func(r *http.Request, tenant string) { r.Header.Set("X-Tenant", tenant) }, func(tenant string) string { return tenant }, ""},
		"header, with a default": {"eu-", "{header.X-Tenant}", func(r *http.Request, tenant string) { r.Header.Set("X-Tenant", tenant) }, func(tenant string) string { return tenant }, "others"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := testbed.StartApp(t, nil)
			unknown, byDefault := "{tenant}", ""
			if c.others != "" {
				unknown, byDefault = c.others, "default "+c.others+` ""`
			}
			g := site{store: "memory", routes: fmt.Sprintf(`	log
	map %s {tenant} {tenant_secret} {
		%s acme canary-secret-of-acme
		%s
	}
	handle /webhooks/docrouter* {
		webhook_guard docrouter {
			secret {tenant_secret} per_request
			scope %s{tenant}
		}
		%s
	}
`, c.source, c.named("acme.test"), byDefault, c.scope, proxy(app))}.start(t)
			s := testbed.DocRouter()
			ask := func(tenant, secret string) testbed.Response {
				s.Secret = secret
				req := s.Request(t, g.URL(""), testbed.Event{})
				c.ask(req, tenant)
				return testbed.Do(t, req)
			}
			want(t, ask("acme.test", "canary-secret-of-acme"), 200, "forwarded")
			wantRefused(t, ask("acme.test", "wrong"), 401, "signature_invalid")
			wantFields(t, waitLogged(t, g, "refused", 1), map[string]any{"level": "info", "result": "signature_invalid", "scope": c.scope + "acme"})
			wantRefused(t, ask("other.test", "canary-secret-of-acme"), 503, "secret_unavailable")
			wantFields(t, waitLogged(t, g, "refused", 2), map[string]any{"level": "warn", "result": "secret_unavailable", "tenant": c.named("other.test")})
			wantCalls(t, app, 1)
			results := func() (all []string) {
				for _, entry := range logged(g, "handled request") {
					got, _ := entry["webhook_guard"].(map[string]any)
					all = append(all, fmt.Sprint(got["result"], " ", got["scope"]))
				}
				return all
			}
			testbed.Eventually(t, soon, func() bool {
				return slices.Equal(results(), []string{"forwarded " + c.scope + "acme", "signature_invalid " + c.scope + "acme", "secret_unavailable " + c.scope + unknown})
			}, "the access log to name the tenant")
		})
	}
}

// What may be a credential is not logged as a tenant's name.
func TestNoCredentialIsLoggedAsATenant(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	var routes strings.Builder
	sources := map[string]string{"a": "{header.Authorization}", "b": "{header.Cookie}", "c": "{header.X-Token}", "d": "{query.token}"}
	for name, source := range sources {
		fmt.Fprintf(&routes, "\tmap %s {tenant_%s} {secret_%s} {\n\t\tknown known canary-secret-of-known\n\t}\n", source, name, name)
		routes.WriteString(route("/"+name, "docrouter", proxy(app), "token header X-Token", "secret {secret_"+name+"} per_request", "scope "+name+"-{tenant_"+name+"}"))
	}
	g := site{store: "memory", routes: routes.String()}.start(t)
	for name := range sources {
		req := testbed.DocRouter().Request(t, g.URL("/"+name), testbed.Event{})
		req.URL.RawQuery = "token=canary"
		for _, header := range []string{"Authorization", "Cookie", "X-Token"} {
			req.Header.Set(header, "canary")
		}
		wantRefused(t, testbed.Do(t, req), 503, "secret_unavailable")
	}
	waitLogged(t, g, "refused", len(sources))
	for _, entry := range logged(g, "refused") {
		if strings.Contains(fmt.Sprint(entry), "canary") {
			t.Errorf("a credential is in the line: %v", entry)
		}
	}
}
