package caddymodule

import (
	"strings"
	"testing"
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
