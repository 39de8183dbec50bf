package cli

import (
	"runtime/debug"
	"testing"
)

// A binary says which version it is, whoever built it. A module that was replaced by a
// directory has the version that somebody typed, so it is none.
func TestModuleVersion(t *testing.T) {
	own := debug.Module{Path: modulePath, Version: "v1.2.3"}
	replaced := own
	replaced.Replace = &debug.Module{Path: "../caddy-webhook-guard"}
	caddy := debug.Module{Path: "github.com/caddyserver/caddy/v2", Version: "v2.11.9"}
	for name, test := range map[string]struct {
		info    *debug.BuildInfo
		release string
		want    string
	}{
		"a release":               {&debug.BuildInfo{Main: debug.Module{Path: modulePath, Version: "(devel)"}}, "v1.4.0", "v1.4.0"},
		"xcaddy":                  {&debug.BuildInfo{Main: debug.Module{Path: "caddy"}, Deps: []*debug.Module{&caddy, &own}}, "", "v1.2.3"},
		"xcaddy with a directory": {&debug.BuildInfo{Main: debug.Module{Path: "caddy"}, Deps: []*debug.Module{&caddy, &replaced}}, "", "devel"},
		"a clone at a tag":        {&debug.BuildInfo{Main: own, Deps: []*debug.Module{&caddy}}, "", "v1.2.3"},
		"a clone":                 {&debug.BuildInfo{Main: debug.Module{Path: modulePath, Version: "(devel)"}, Deps: []*debug.Module{&caddy}}, "", "devel"},
		"without build info":      {nil, "", "devel"},
	} {
		if got := moduleVersion(test.info, test.release); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
