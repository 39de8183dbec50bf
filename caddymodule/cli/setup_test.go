package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// configFile writes a configuration in JSON.
func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "caddy.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// guards is a configuration whose guards are where handlers can be: in a route, a
// subroute, and an error route.
const guards = `{"apps": {
	"webhook_guard": {"providers": {"acme": {"signature": [{"header": "X-Acme"}], "id": ["header X-Id"]}}},
	"http": {"servers": {"s": {
		"routes": [
			{"handle": [{"handler": "webhook_guard", "provider": "acme", "scope": "one", "secret": [{"value": "canary-one-secret"}]}]},
			{"handle": [{"handler": "subroute", "routes": [{"handle": [{"handler": "webhook_guard", "provider": "acme", "scope": "t-{tenant}", "secret": [{"value": "{http.vars.secret}", "per_request": true}]}]}]}]},
			{"handle": [{"handler": "webhook_guard", "provider": "github", "secret": [{"value": "{env.GUARD_UNSET}"}]}]},
			{"handle": [{"handler": "webhook_guard", "provider": "slack", "secret": [{"value": "canary-past", "until": "2020-01-01T00:00:00Z"}]}]}
		],
		"errors": {"routes": [{"handle": [{"handler": "webhook_guard", "provider": "gitlab-secret-token", "secret": [{"value": "canary-token-1"}]}]}]}
	}}}}}`

func TestGuardsAreFoundWhereHandlersAre(t *testing.T) {
	t.Setenv("GUARD_SECRET", "a secret of one's own")
	file := configFile(t, guards)
	for _, c := range []struct {
		name string
		args []string
		want string // of the error; "" for none
	}{
		{"by its scope", []string{"acme", "--scope", "one"}, ""},
		{"in an error route", []string{"gitlab-secret-token"}, ""},
		{"a placeholder in the scope", []string{"acme", "--scope", "t-9", "--secret-env", "GUARD_SECRET"}, ""},
		{"as the line has it", []string{"acme", "--scope", "t-{tenant}", "--secret-env", "GUARD_SECRET"}, ""},
		{"a provider without a guard", []string{"stripe", "--secret-env", "GUARD_SECRET"}, ""},
		{"a secret per request", []string{"acme", "--scope", "t-9"}, "chosen for each request"},
		{"a provider without one, and no secret", []string{"stripe"}, "the configuration guards acme, github, slack, gitlab-secret-token, not stripe: name the secret"},
		{"several guards", []string{"acme"}, "choose one with --scope: one, t-{tenant}"},
		{"another scope", []string{"acme", "--scope", "two"}, `has the scope "two": there are one, t-{tenant}`},
		{"a scope of nobody's", []string{"stripe", "--scope", "one"}, "no guard of stripe"},
		{"an unset variable", []string{"github"}, "{env.GUARD_UNSET}"},
		{"only past secrets", []string{"slack"}, "name the secret"},
		{"an unknown provider", []string{"acne"}, "did you mean acme"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGateway(t, takes(webhook.Forwarded, 200, ""))
			out, err := run(sendCommand(), strings.NewReader(""), append(c.args, g.URL+"/in", "--config", file)...)
			if c.want == "" && err != nil {
				t.Fatal(err)
			}
			if c.want != "" {
				wantText(t, err, c.want)
				out += err.Error()
			}
			if strings.Contains(out, "canary") {
				t.Errorf("a secret is printed: %s", out)
			}
		})
	}
}

func TestAConfigurationThatCannotBeRead(t *testing.T) {
	named := func(text string) string {
		file := filepath.Join(t.TempDir(), "caddy.conf") // for all that is known, a Caddyfile
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, c := range map[string]struct{ file, want string }{
		"an odd guard in a file of any name":  {named(`[{"handler":"webhook_guard","provider":7}]`), "a webhook_guard handler"},
		"JSON that is cut, and has a comma":   {named("{\n  \"apps\": {\"canary\": 1},"), "it is not JSON"},
		"JSON for the adapter of a Caddyfile": {named(`{"apps": {"canary": 1}, "b": {}}`), "it is JSON, which needs no --adapter"},
		"none there":                          {"/nonexistent/Caddyfile", "--config: open"},
		"not JSON":                            {configFile(t, "canary"), "it is not JSON"},
		"no such adapter":                     {configFile(t, "{}"), `there is no adapter "nonsense"`},
		"odd providers":                       {configFile(t, `{"apps":{"webhook_guard":{"providers":7}}}`), "the providers of webhook_guard"},
		"an odd guard":                        {configFile(t, `[{"handler":"webhook_guard","provider":7}]`), "a webhook_guard handler"},
	} {
		args := []string{"github", "--config", c.file}
		if name == "no such adapter" {
			args = append(args, "--adapter", "nonsense")
		}
		if strings.Contains(name, "for the adapter") {
			args = append(args, "--adapter", "caddyfile")
		}
		_, err := run(signCommand(), strings.NewReader("{}"), args...)
		wantText(t, err, c.want)
		if statusOf(err) != exitUsage || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: status %d, %v", name, statusOf(err), err)
		}
	}
	_, err := run(signCommand(), strings.NewReader("{}"), "github", "--scope", "x")
	wantText(t, err, "give that with --config")
}
