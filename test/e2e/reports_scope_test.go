package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// With one scope, the app behind a second guard of a provider would never get an event
// that the first has handled.
func TestTwoGuardsOfOneProviderSayTheirScope(t *testing.T) {
	t.Parallel()
	guard := func(lines string) string {
		return "webhook_guard github {\n\tsecret one-and-the-same-secret\n\t" + lines + "\n}\nrespond ok\n"
	}
	for name, pair := range map[string]func(first, second string) string{
		"two paths": func(a, b string) string {
			return "http://a.test {\nhandle /ci {\n" + a + "}\nhandle /chat {\n" + b + "}\n}\n"
		},
		"two sites":     func(a, b string) string { return "http://a.test {\n" + a + "}\nhttp://b.test {\n" + b + "}\n" },
		"two servers":   func(a, b string) string { return "http://:8081 {\n" + a + "}\nhttp://:8082 {\n" + b + "}\n" },
		"two addresses": func(a, _ string) string { return "http://:8081, http://:8082 {\n" + a + "}\n" },
		"a snippet twice": func(a, _ string) string {
			return "(guard) {\n" + a + "}\nhttp://a.test {\nimport guard\n}\nhttp://b.test {\nimport guard\n}\n"
		},
		"an error route": func(a, b string) string { return "http://a.test {\n" + a + "handle_errors {\n" + b + "}\n}\n" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, refused := range []string{pair(guard(""), guard("")), pair(guard(""), guard("scope github"))} {
				if out, err := validate(t, "Caddyfile", refused); err == nil || strings.Count(out, "webhook_guard github (") != 2 || !strings.Contains(out, "scope <name>") || strings.Contains(out, "one-and") {
					t.Errorf("%v, %s, of\n%s", err, out, refused)
				}
			}
			if out, err := validate(t, "Caddyfile", pair(guard("scope both"), guard("scope both"))); err != nil {
				t.Errorf("%v, %s", err, out)
			}
		})
	}
}

// With a scope of its own, each of two apps gets the event, once.
func TestTwoAppsGetOneEventEach(t *testing.T) {
	t.Parallel()
	const key = "one-and-the-same-secret"
	ci, chat := testbed.StartApp(t, nil), testbed.StartApp(t, nil)
	guard := func(path string, app *testbed.App) string {
		return fmt.Sprintf("handle %s {\n\twebhook_guard github {\n\t\tsecret %s\n\t\tscope %s\n\t}\n\t%s\n}\n", path, key, path[1:], proxy(app))
	}
	g := site{store: "memory", routes: guard("/ci", ci) + guard("/chat", chat)}.start(t)
	for _, path := range []string{"/ci", "/chat"} {
		wantResult(t, path, githubEvent(path, key, "d1").send(t, g), http.StatusOK, "forwarded")
		wantResult(t, path+" again", githubEvent(path, key, "d1").send(t, g), http.StatusOK, "duplicate")
	}
	wantCalls(t, ci, 1)
	wantCalls(t, chat, 1)
}

// Whoever has captured an event could else replay it under one host in many spellings.
func TestOneHostInAnySpellingIsOneScope(t *testing.T) {
	t.Parallel()
	const key = "one-and-the-same-secret"
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: "webhook_guard github {\n\tsecret " + key + "\n\tscope {host}\n}\n" + proxy(app)}.start(t)
	for i, host := range []string{"hooks.example.com", "Hooks.Example.Com", "hooks.example.com.", "HOOKS.EXAMPLE.COM.:80"} {
		event := githubEvent("/", key, "h1")
		req, err := http.NewRequest(http.MethodPost, g.URL("/"), strings.NewReader(event.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		for i := 0; i+1 < len(event.headers); i += 2 {
			req.Header.Set(event.headers[i], event.headers[i+1])
		}
		want := "duplicate"
		if i == 0 {
			want = "forwarded"
		}
		wantResult(t, host, testbed.Do(t, req), http.StatusOK, want)
	}
}
