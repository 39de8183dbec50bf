package packaging_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// built makes a package of one kind as packaging/release does, around a binary.
func built(t *testing.T, kind, version, binary string) string {
	t.Helper()
	source, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	notices := filepath.Join(t.TempDir(), "notices")
	write(t, notices, "notices", 0o644)
	run(t, []string{
		"GOWORK=off", "GOFLAGS=", "VERSION=" + version, "ARCH=" + runtime.GOARCH, "BINARY=" + binary,
		"NOTICES=" + notices, "SOURCE=" + source, "SOURCE_DATE_EPOCH=1700000000",
	}, "go", "tool", "nfpm", "package", "--config", filepath.Join(source, "packaging", "nfpm.yaml"), "--packager", kind, "--target", out+"/")
	files, err := filepath.Glob(filepath.Join(out, "*."+kind))
	if err != nil || len(files) != 1 {
		t.Fatalf("nfpm made %v, %v", files, err)
	}
	return files[0]
}

// stub is a program that prints a word, in the place of Caddy.
func stub(t *testing.T, word string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "caddy")
	write(t, path, "#!/bin/sh\necho "+word+"\n", 0o755)
	return path
}

// The same source makes the same package, wherever and whenever it is built.
func TestPackagesAreReproducible(t *testing.T) {
	for _, kind := range []string{"deb", "rpm"} {
		binary := stub(t, "guard")
		first := built(t, kind, "1.2.3", binary)
		later := filepath.Join(t.TempDir(), "elsewhere", "caddy")
		write(t, later, read(t, binary), 0o755)
		second := built(t, kind, "1.2.3", later)
		a, b := read(t, first), read(t, second)
		if !bytes.Equal([]byte(a), []byte(b)) {
			t.Errorf("two builds of the %s differ", kind)
		}
	}
}

// packaged are the files of either package.
var packaged = []string{
	"/etc/caddy-webhook-guard/environment",
	"/usr/bin/caddy-webhook-guard",
	"/usr/libexec/caddy-webhook-guard/caddy",
	"/usr/lib/systemd/system/caddy.service.d/10-webhook-guard.conf",
	"/usr/share/doc/caddy-webhook-guard/THIRD_PARTY_LICENSES.txt",
	"/usr/share/doc/caddy-webhook-guard/copyright",
}

// dpkg runs dpkg in a root of the test's own. The scripts of packages run without a change of
// root, as there is no shell there; dpkg tells them where it is.
type dpkg struct{ root string }

func newDpkg(t *testing.T) dpkg {
	t.Helper()
	d := dpkg{t.TempDir()}
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/alternatives", "var/lib/dpkg/triggers", "var/log", "etc/alternatives", "usr/bin"} {
		if err := os.MkdirAll(filepath.Join(d.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"status", "available", "diversions"} {
		write(t, filepath.Join(d.root, "var/lib/dpkg", file), "", 0o644)
	}
	return d
}

func (d dpkg) run(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, "dpkg",
		append([]string{"--root=" + d.root, "--force-script-chrootless", "--force-not-root", "--log=/dev/null"}, args...)...)
}

// caddy is what the command caddy prints there.
func (d dpkg) caddy(t *testing.T) string {
	t.Helper()
	path := "/usr/bin/caddy"
	for range 5 { // links say where something is in the root
		target, err := os.Readlink(filepath.Join(d.root, path))
		if err != nil {
			break
		}
		path = target
	}
	return strings.TrimSpace(run(t, nil, filepath.Join(d.root, path)))
}

// distribution makes a package caddy, as a distribution has one.
func distribution(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "DEBIAN", "control"), "Package: caddy\nVersion: "+version+"\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n", 0o644)
	write(t, filepath.Join(dir, "usr/bin/caddy"), "#!/bin/sh\necho stock-"+version+"\n", 0o755)
	out := filepath.Join(t.TempDir(), "caddy.deb")
	run(t, nil, "dpkg-deb", "--root-owner-group", "--build", dir, out)
	return out
}

// The deb takes the place of the packaged Caddy, keeps it through upgrades of both, and gives
// it back.
func TestTheDebTakesCaddysPlace(t *testing.T) {
	d := newDpkg(t)
	want := func(word string) {
		t.Helper()
		if got := d.caddy(t); got != word {
			t.Fatalf("caddy is %s, want %s", got, word)
		}
	}
	d.run(t, "-i", distribution(t, "2.6.2"))
	want("stock-2.6.2")
	d.run(t, "-i", built(t, "deb", "1.0.0", stub(t, "guard-1.0.0")))
	want("guard-1.0.0")
	d.run(t, "-i", distribution(t, "2.7.0"))
	want("guard-1.0.0")
	if got := strings.TrimSpace(run(t, nil, filepath.Join(d.root, "usr/bin/caddy.default"))); got != "stock-2.7.0" {
		t.Errorf("the packaged Caddy is %s after its upgrade", got)
	}

	// What an administrator has changed stays.
	environment := filepath.Join(d.root, "etc/caddy-webhook-guard/environment")
	write(t, environment, "GOGC=200\n", 0o644)
	d.run(t, "--force-confold", "-i", built(t, "deb", "1.1.0", stub(t, "guard-1.1.0")))
	want("guard-1.1.0")
	if got := read(t, environment); got != "GOGC=200\n" {
		t.Errorf("the upgrade has overwritten the environment: %q", got)
	}

	d.run(t, "--remove", "caddy-webhook-guard")
	want("stock-2.7.0")
	d.run(t, "--purge", "caddy-webhook-guard")
	want("stock-2.7.0")
	for _, file := range append(packaged, "/usr/bin/caddy.default", "/etc/alternatives/caddy") {
		if _, err := os.Lstat(filepath.Join(d.root, file)); err == nil {
			t.Errorf("%s is left", file)
		}
	}
	d.run(t, "-i", distribution(t, "2.8.0"))
	want("stock-2.8.0")
}

// Both in one run of dpkg, as apt does it, in either order.
func TestTheDebIsInstalledTogetherWithCaddy(t *testing.T) {
	guard, caddy := built(t, "deb", "1.0.0", stub(t, "guard-1.0.0")), distribution(t, "2.6.2")
	for name, order := range map[string][]string{"guard first": {guard, caddy}, "caddy first": {caddy, guard}} {
		t.Run(name, func(t *testing.T) {
			d := newDpkg(t)
			d.run(t, append([]string{"-i"}, order...)...)
			if got := d.caddy(t); got != "guard-1.0.0" {
				t.Errorf("caddy is %s", got)
			}
		})
	}
}

// Who has followed Caddy's documentation by hand, all of it, gets the packaged guard, and has
// what was there before once that is removed. The diversion stays theirs.
func TestTheDebLeavesADiversionMadeByHand(t *testing.T) {
	d := newDpkg(t)
	d.run(t, "-i", distribution(t, "2.6.2"))
	run(t, nil, "dpkg-divert", "--root", d.root, "--local", "--divert", "/usr/bin/caddy.default", "--rename", "--add", "/usr/bin/caddy")
	write(t, filepath.Join(d.root, "usr/bin/caddy.custom"), "#!/bin/sh\necho custom\n", 0o755)
	for _, alternative := range [][]string{{"/usr/bin/caddy.default", "10"}, {"/usr/bin/caddy.custom", "50"}} {
		run(t, nil, "update-alternatives", "--root", d.root, "--log", "/dev/null", "--install", "/usr/bin/caddy", "caddy", alternative[0], alternative[1])
	}
	d.run(t, "-i", built(t, "deb", "1.0.0", stub(t, "guard-1.0.0")))
	if got := d.caddy(t); got != "guard-1.0.0" {
		t.Errorf("caddy is %s", got)
	}
	d.run(t, "--purge", "caddy-webhook-guard")
	if got := d.caddy(t); got != "custom" {
		t.Errorf("caddy is %s after the removal", got)
	}
	if got := run(t, nil, "dpkg-divert", "--root", d.root, "--listpackage", "/usr/bin/caddy"); !strings.Contains(got, "LOCAL") {
		t.Errorf("the diversion is %q", got)
	}
}

func TestWhatIsInTheDeb(t *testing.T) {
	file := built(t, "deb", "1.2.3", stub(t, "guard"))
	list := run(t, nil, "dpkg-deb", "--contents", file)
	for _, path := range packaged {
		if !strings.Contains(list, " ."+path) {
			t.Errorf("%s is missing from\n%s", path, list)
		}
	}
	if strings.Count(list, " root/root ") != strings.Count(list, "\n") && strings.Count(list, " 0/0 ") != strings.Count(list, "\n") {
		t.Errorf("somebody but root owns a file:\n%s", list)
	}
	for field, want := range map[string]string{"Package": "caddy-webhook-guard", "Version": "1.2.3", "Depends": "caddy",
		"Maintainer": "The Webhook Guard authors <https://github.com/webhookguard/caddy-webhook-guard/issues>"} {
		if got := strings.TrimSpace(run(t, nil, "dpkg-deb", "--field", file, field)); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
}

// rpm runs rpm with a database of the test's own.
func rpm(t *testing.T, root string, args ...string) string {
	t.Helper()
	return run(t, nil, "rpm", append([]string{"--root", root, "--dbpath", "/rpmdb"}, args...)...)
}

// The rpm has the files, is installed and upgraded, and keeps what the administrator changed.
// Its scripts do nothing where no systemd runs, as here.
func TestTheRpm(t *testing.T) {
	first, second := built(t, "rpm", "1.0.0", stub(t, "guard-1.0.0")), built(t, "rpm", "1.1.0", stub(t, "guard-1.1.0"))
	list := run(t, nil, "rpm", "--query", "--package", "--list", first)
	for _, path := range packaged {
		if !strings.Contains(list, path+"\n") {
			t.Errorf("%s is missing from\n%s", path, list)
		}
	}
	if got := run(t, nil, "rpm", "--query", "--package", "--requires", first); !strings.Contains(got, "caddy\n") {
		t.Errorf("it requires\n%s", got)
	}
	if got := strings.TrimSpace(run(t, nil, "rpm", "--query", "--package", "--configfiles", first)); got != "/etc/caddy-webhook-guard/environment" {
		t.Errorf("its configuration is %q", got)
	}
	root := t.TempDir()
	flags := []string{"--nodeps", "--noscripts", "--nosignature", "--ignorearch", "--ignoreos"}
	rpm(t, root, "--initdb")
	rpm(t, root, append([]string{"--install", first}, flags...)...)
	environment := filepath.Join(root, "etc/caddy-webhook-guard/environment")
	write(t, environment, "GOGC=200\n", 0o644)
	rpm(t, root, append([]string{"--upgrade", second}, flags...)...)
	if got := strings.TrimSpace(run(t, nil, filepath.Join(root, "usr/libexec/caddy-webhook-guard/caddy"))); got != "guard-1.1.0" {
		t.Errorf("after the upgrade it is %s", got)
	}
	if got := read(t, environment); got != "GOGC=200\n" {
		t.Errorf("the upgrade has overwritten the environment: %q", got)
	}
	rpm(t, root, "--erase", "--nodeps", "--noscripts", "caddy-webhook-guard")
	for _, path := range []string{"etc/caddy-webhook-guard/environment", "usr/bin/caddy-webhook-guard", "usr/libexec/caddy-webhook-guard", "usr/share/doc/caddy-webhook-guard", "usr/lib/systemd/system/caddy.service.d"} {
		if _, err := os.Lstat(filepath.Join(root, path)); err == nil {
			t.Errorf("/%s is left", path)
		}
	}
}

// The scripts are what a POSIX shell reads, and end well where no systemd runs.
func TestTheRpmsScripts(t *testing.T) {
	for _, script := range []string{"rpm/post", "rpm/postun"} {
		run(t, nil, "sh", "-n", script)
		text := read(t, script)
		if !strings.Contains(text, "[ -d /run/systemd/system ]") {
			t.Errorf("%s calls systemctl where there may be none", script)
		}
	}
}
