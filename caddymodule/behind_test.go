package caddymodule

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy/fastcgi" // a transport
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// A proxy that tries again is warned of where it could not give each try the whole event.
func TestRetriesAreWarnedOf(t *testing.T) {
	const guard = "webhook_guard stripe {\nsecret whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH"
	for name, tc := range map[string]struct {
		site  string
		named string // another snippet
		want  int
	}{
		"no retries":                 {"GUARD\nreverse_proxy a:1 b:1", "", 0},
		"retries":                    {"GUARD\nreverse_proxy a:1 b:1 {\nlb_retries 2\n}", "", 1},
		"a duration":                 {"GUARD\nreverse_proxy a:1 {\nlb_try_duration 5s\n}", "", 1},
		"this transport":             {"GUARD\nreverse_proxy a:1 b:1 {\nlb_retries 2\ntransport webhook\n}", "", 0},
		"transport http":             {"GUARD\nreverse_proxy a:1 b:1 {\nlb_retries 2\ntransport http {\nkeepalive 1s\n}\n}", "", 1},
		"buffers":                    {"GUARD\nreverse_proxy a:1 b:1 {\nlb_retries 2\nrequest_buffers 20MiB\n}", "", 0},
		"buffers without a bound":    {"GUARD\nreverse_proxy a:1 b:1 {\nlb_retries 2\nrequest_buffers unlimited\n}", "", 0},
		"buffers that are too small": {"GUARD\nreverse_proxy a:1 b:1 {\nlb_retries 2\nrequest_buffers 1KiB\n}", "", 1},
		"FastCGI":                    {"GUARD\nreverse_proxy a:1 b:1 {\nlb_retries 2\ntransport fastcgi\n}", "", 1},
		"no guard":                   {"reverse_proxy a:1 b:1 {\nlb_retries 2\n}", "", 0},
		"a guard elsewhere":          {"handle /a {\nGUARD\nreverse_proxy a:1\n}\nhandle {\nreverse_proxy a:1 b:1 {\nlb_retries 2\n}\n}", "", 0},
		"one of two":                 {"handle /a {\nGUARD\nreverse_proxy a:1 {\nlb_retries 1\n}\n}\nhandle {\nreverse_proxy a:1 b:1 {\nlb_retries 2\n}\n}", "", 1},
		"in a handle":                {"handle /a {\nGUARD\nreverse_proxy a:1 {\nlb_retries 1\n}\n}", "", 1},
		"in a route":                 {"route /a {\nGUARD\nroute {\nreverse_proxy a:1 {\nlb_retries 1\n}\n}\n}", "", 1},
		"by matchers":                {"route {\nGUARD\nreverse_proxy /a a:1 {\nlb_retries 1\n}\nreverse_proxy b:1 {\nlb_retries 1\n}\n}", "", 2},
		"in a response":              {"GUARD\nreverse_proxy a:1 {\n@down status 5xx\nhandle_response @down {\nreverse_proxy b:1 {\nlb_retries 1\n}\n}\n}", "", 1},
		"in an inbox":                {"INBOX a:1 b:1 {\nlb_retries 2\n}\n}\n}\n}", "", 1},
		"this transport in an inbox": {"INBOX a:1 b:1 {\nlb_retries 2\ntransport webhook\n}\n}\n}\n}", "", 0},
		"behind an inbox":            {"INBOX a:1\n}\n}\n}\nreverse_proxy a:1 b:1 {\nlb_retries 2\n}", "", 0},
		"in a named route":           {"route {\nGUARD\ninvoke app\n}", "&(app) {\nreverse_proxy a:1 {\nlb_retries 1\n}\n}\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := provisioned(t, tc.named+"http://a.example {\n"+strings.NewReplacer("GUARD", guard+"\n}", "INBOX", guard+"\ninbox {\ndeliver {\nreverse_proxy").Replace(tc.site)+"\n}\n")
			core, logs := observer.New(zap.WarnLevel)
			warnOfRetries(a.ctx, zap.New(core))
			if logs.Len() != tc.want {
				t.Errorf("%d warnings, want %d: %v", logs.Len(), tc.want, logs.All())
			}
			for _, entry := range logs.All() {
				if !strings.Contains(entry.Message, "`transport webhook`") || entry.ContextMap()["provider"] != "stripe" {
					t.Errorf("warned with %q, %v", entry.Message, entry.ContextMap())
				}
			}
		})
	}
}

// What an inbox leaves without a request is warned of, also where Caddy's order of directives
// has put it behind the guard.
func TestHandlersThatAnInboxKeepsFromRunningAreWarnedOf(t *testing.T) {
	const (
		guard = "webhook_guard stripe {\nsecret whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH\n}\n"
		inbox = "stripe {\nsecret whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH\ninbox {\ndeliver {\nreverse_proxy a:1\n}\n}\n}\n"
		users = "basic_auth {\nbob $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG\n}\n"
	)
	for name, tc := range map[string]struct {
		site string
		want []string
	}{
		"nothing":                   {"webhook_guard " + inbox, nil},
		"no inbox":                  {guard + "reverse_proxy a:1\n", nil},
		"an error":                  {"webhook_guard " + inbox + "error 500\n", nil},
		"before it":                 {"route {\n" + users + "webhook_guard " + inbox + "}\n", nil},
		"in another handle":         {"handle /a {\nwebhook_guard " + inbox + "}\nhandle {\nreverse_proxy b:1\n}\n", nil},
		"of other requests":         {"webhook_guard /a " + inbox + "reverse_proxy b:1\n", nil},
		"the proxy from before":     {"webhook_guard " + inbox + "reverse_proxy a:1\n", []string{"http.handlers.reverse_proxy"}},
		"basic_auth, and a rewrite": {"webhook_guard " + inbox + users + "rewrite /b\n", []string{"http.handlers.rewrite", "http.handlers.authentication"}},
		"in a route":                {"handle /a {\nwebhook_guard " + inbox + "route {\nreverse_proxy a:1\n}\n}\n", []string{"http.handlers.reverse_proxy"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := provisioned(t, "http://a.example {\n"+tc.site+"}\n")
			core, logs := observer.New(zap.WarnLevel)
			warnOfUnreached(a.ctx, zap.New(core))
			var got []string
			for _, entry := range logs.All() {
				got = append(got, entry.ContextMap()["handler"].(string))
				if entry.ContextMap()["scope"] != "stripe" {
					t.Errorf("warned with %v", entry.ContextMap())
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("warned of %q, want %q", got, tc.want)
			}
		})
	}
}

// provisioned is the app of a configuration that is up but for its servers.
func provisioned(t *testing.T, caddyfile string) *App {
	t.Helper()
	a, err := provision(t, caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// provision provisions a configuration, and returns its app.
func provision(t *testing.T, caddyfile string) (*App, error) {
	t.Helper()
	text, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("{\nadmin off\nwebhook_guard {\nstore disk "+t.TempDir()+"\n}\n}\n"+caddyfile), nil)
	if err != nil {
		t.Fatal(err)
	}
	var config caddy.Config
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&config)
	if err != nil {
		return nil, err
	}
	app, err := ctx.App(appID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.(*App).Cleanup() })
	return app.(*App), nil
}
