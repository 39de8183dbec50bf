//go:build full && linux

package packaging_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// The deb with the real binary goes beside Debian's own package of Caddy, in a Debian of its
// own, and stays in its place when that is installed anew.
func TestTheDebInARealDebian(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("debootstrap makes a root directory: run this test as root")
	}
	root := filepath.Join(t.TempDir(), "debian")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, nil, "debootstrap", "--variant=minbase", "--include=ca-certificates", codename(t), root, mirror(t))
	inside := func(args ...string) string {
		t.Helper()
		return run(t, []string{"DEBIAN_FRONTEND=noninteractive", "HOME=/root", "LC_ALL=C"}, "chroot", append([]string{root}, args...)...)
	}
	caddy, err := os.ReadFile(testbed.Command(t).Path)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "caddy")
	write(t, binary, string(caddy), 0o755)
	write(t, filepath.Join(root, "guard.deb"), read(t, built(t, "deb", "1.0.0", binary)), 0o644)

	inside("apt-get", "install", "-y", "-q", "--no-install-recommends", "caddy")
	inside("apt-get", "install", "-y", "-q", "/guard.deb")
	has := func() bool { return strings.Contains(inside("caddy", "list-modules"), "http.handlers.webhook_guard") }
	if !has() {
		t.Fatal("caddy is not the guard's after the installation")
	}
	inside("apt-get", "install", "-y", "-q", "--reinstall", "caddy")
	if !has() {
		t.Fatal("caddy is not the guard's after the packaged one was installed anew")
	}
	inside("caddy", "validate", "--config", "/etc/caddy/Caddyfile")
	serviceFails(t, root, inside)
	inside("apt-get", "purge", "-y", "-q", "caddy-webhook-guard")
	if has() {
		t.Fatal("caddy is the guard's after the removal")
	}
}

// serviceFails has a systemd that cannot start the service again. The upgrade is not stopped by
// that. Where a policy forbids to start services, the service is not touched at all.
func serviceFails(t *testing.T, root string, inside func(...string) string) {
	t.Helper()
	calls := filepath.Join(root, "calls")
	write(t, filepath.Join(root, "usr/local/bin/systemctl"), "#!/bin/sh\necho \"$@\" >>/calls\n! echo \"$@\" | grep -q restart\n", 0o755)
	if err := os.MkdirAll(filepath.Join(root, "run/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	inside("dpkg", "-i", "/guard.deb")
	if got := read(t, calls); !strings.Contains(got, "daemon-reload\n") || !strings.Contains(got, "try-restart caddy.service\n") {
		t.Errorf("the installation called systemctl with\n%s", got)
	}
	write(t, calls, "", 0o644)
	write(t, filepath.Join(root, "usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n", 0o755)
	inside("dpkg", "-i", "/guard.deb")
	if got := read(t, calls); strings.Contains(got, "restart") {
		t.Errorf("against the policy, the installation called systemctl with\n%s", got)
	}
	for _, path := range []string{"usr/local/bin/systemctl", "usr/sbin/policy-rc.d", "run/systemd"} {
		if err := os.RemoveAll(filepath.Join(root, path)); err != nil {
			t.Fatal(err)
		}
	}
}

// codename is the release of Debian that this machine runs.
func codename(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(read(t, "/etc/os-release")) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return name
		}
	}
	t.Fatal("/etc/os-release names no release: this test needs a Debian")
	return ""
}

// mirror is where this machine gets Debian's packages from.
func mirror(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(run(t, nil, "apt-get", "indextargets", "--format", "$(REPO_URI)")) {
		if uri := strings.TrimSpace(line); strings.Contains(uri, "/debian") && !strings.Contains(uri, "security") {
			return uri
		}
	}
	t.Fatal("apt names no source")
	return ""
}
