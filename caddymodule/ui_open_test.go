package caddymodule

import (
	"strings"
	"testing"

	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy/forwardauth" // a directive
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/ui"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A page is warned of where requests for it have not had to pass anything that authenticates.
func TestOpenPagesAreWarnedOf(t *testing.T) {
	const (
		password = "basic_auth * {\nalice $2a$04$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n}\n"
		asks     = "forward_auth a:1 {\nuri /auth\n}\n"
	)
	authority := testbed.NewAuthority(t)
	cert, key := authority.Issue("a.example")
	certificate := "tls " + cert + " " + key
	at := func(path string) string { return strings.Replace(password, "*", path, 1) }
	for name, tc := range map[string]struct {
		site  string
		named string // another snippet
		warns bool
	}{
		"nothing":                     {"webhook_guard_ui", "", true},
		"a password":                  {password + "webhook_guard_ui", "", false},
		"an identity proxy":           {asks + "webhook_guard_ui", "", false},
		"an app behind it":            {"webhook_guard_ui\nreverse_proxy a:1", "", true},
		"a password behind it":        {"route {\nwebhook_guard_ui\n" + password + "}", "", true},
		"a password in a route":       {"route {\n" + password + "webhook_guard_ui\n}", "", false},
		"a password around it":        {"route {\n" + password + "handle /x/* {\nwebhook_guard_ui\n}\n}", "", false},
		"a password elsewhere":        {"handle /a {\n" + password + "respond a\n}\nhandle {\nwebhook_guard_ui\n}", "", true},
		"a password for its path":     {at("/hooks/*") + "webhook_guard_ui /hooks", "", false},
		"a password for all paths":    {at("/*") + "webhook_guard_ui /hooks", "", false},
		"a password for other paths":  {at("/admin/*") + "webhook_guard_ui /hooks", "", true},
		"one page of two":             {"handle /a/* {\n" + password + "webhook_guard_ui /a\n}\nwebhook_guard_ui /b", "", true},
		"a password in a named route": {"invoke sign-in\nroute {\nwebhook_guard_ui\n}", "&(sign-in) {\n" + password + "}\n", false},
		"client certificates":         {certificate + " {\nclient_auth {\nmode require_and_verify\ntrust_pool file " + authority.File + "\n}\n}\nwebhook_guard_ui", "", false},
		"optional certificates":       {certificate + " {\nclient_auth {\nmode verify_if_given\ntrust_pool file " + authority.File + "\n}\n}\nwebhook_guard_ui", "", true},
		"read only":                   {"webhook_guard_ui {\nread_only\n}", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := "http"
			if strings.Contains(tc.site, "client_auth") {
				scheme = "https"
			}
			a := provisioned(t, tc.named+scheme+"://a.example {\n"+tc.site+"\n}\n")
			core, logs := observer.New(zap.WarnLevel)
			ui.WarnOfOpenPages(a.ctx, zap.New(core))
			if warned := logs.FilterMessageSnippet("nothing before it in its route authenticates").Len(); (warned == 1) != tc.warns || warned != logs.Len() {
				t.Errorf("%d warnings: %v", warned, logs.All())
			}
			changes := logs.FilterMessageSnippet("and may replay and delete them").Len() == 1
			if want := tc.warns && !strings.Contains(tc.site, "read_only"); changes != want {
				t.Errorf("warned of changes: %v, want %v", changes, want)
			}
		})
	}
}
