package cli

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

const modulePath = "github.com/webhookguard/caddy-webhook-guard"

// release is the version of a binary that `make release` built. It sets it with
// -ldflags "-X github.com/webhookguard/caddy-webhook-guard/caddymodule/cli.release=v1.2.3".
var release string

// versions says which module, Caddy and Go a binary consists of.
func versions() string {
	info, _ := debug.ReadBuildInfo()
	simple, _ := caddy.Version()
	return moduleVersion(info, release) + " (Caddy " + simple + ", " + runtime.Version() + ")"
}

// moduleVersion returns the version of the module in a binary: that of the release, else
// the one that the build recorded, as xcaddy and `go build` in a clone do, else "devel".
func moduleVersion(info *debug.BuildInfo, release string) string {
	if release != "" {
		return release
	}
	if info == nil {
		return "devel"
	}
	for _, module := range append(info.Deps, &info.Main) {
		if module.Path == modulePath && strings.HasPrefix(module.Version, "v") && module.Replace == nil {
			return module.Version
		}
	}
	return "devel"
}
