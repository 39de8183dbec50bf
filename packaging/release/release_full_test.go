//go:build full

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The same source is the same release, to the byte, from another directory, under another
// user's settings, and with nothing left of the first build. One platform of each kind of
// file stands for all six, as each takes minutes.
func TestTwoBuildsAreOne(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	var outs []string
	for n := range 2 {
		source := filepath.Join(t.TempDir(), []string{"here", "elsewhere/further/down"}[n])
		checkout(t, source)
		if n == 1 {
			t.Setenv("GOCACHE", filepath.Join(t.TempDir(), "cache"))
			t.Setenv("GOFLAGS", "-buildvcs=true")
			t.Setenv("TZ", "Asia/Tokyo")
			t.Setenv("HOME", t.TempDir())
		}
		r := &release{source: source, out: filepath.Join(t.TempDir(), "dist"), version: "v1.2.3", commit: strings.Repeat("ab", 20)}
		if err := r.run("linux/amd64,windows/arm64"); err != nil {
			t.Fatal(err)
		}
		outs = append(outs, r.out)
	}
	files, err := os.ReadDir(outs[0])
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		names = append(names, file.Name())
		first, err := os.ReadFile(filepath.Join(outs[0], file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		second, err := os.ReadFile(filepath.Join(outs[1], file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if string(first) != string(second) {
			t.Errorf("%s differs", file.Name())
		}
	}
	for _, want := range []string{
		"SHA256SUMS", "provenance.intoto.json", "caddy-webhook-guard_1.2.3_linux_amd64.tar.gz", "caddy-webhook-guard_1.2.3_windows_arm64.zip",
		"caddy-webhook-guard_1.2.3_linux_amd64.cdx.json", "caddy-webhook-guard_1.2.3_amd64.deb", "caddy-webhook-guard-1.2.3-1.x86_64.rpm",
	} {
		if !strings.Contains(strings.Join(names, " ")+" ", want+" ") {
			t.Errorf("%s is missing from %v", want, names)
		}
	}
	sums := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	sums.Dir = outs[0]
	if out, err := sums.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}
	checkSBOM(t, filepath.Join(outs[0], "caddy-webhook-guard_1.2.3_linux_amd64.cdx.json"))
	checkVersion(t, filepath.Join(outs[0], "caddy-webhook-guard_1.2.3_linux_amd64.tar.gz"))
}

// checkout copies what is under version control, as it stands in the work tree.
func checkout(t *testing.T, to string) {
	t.Helper()
	list, err := exec.Command("git", "-C", "../..", "ls-files").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(string(list)) {
		name = strings.TrimSuffix(name, "\n")
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), data, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
}

// checkSBOM checks that the SBOM is of this module, and names what everybody looks for.
func checkSBOM(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var bom struct {
		BOMFormat string
		Metadata  struct {
			Component struct{ Name, Version string }
		}
		Components []struct {
			Name, Version string
			Licenses      []any
			Evidence      struct{ Licenses []any }
		}
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.Metadata.Component.Version != "v1.2.3" {
		t.Errorf("it is a %q of %+v", bom.BOMFormat, bom.Metadata.Component)
	}
	found := make(map[string]bool)
	licensed := 0
	for _, c := range bom.Components {
		found[c.Name] = c.Version != ""
		if len(c.Licenses)+len(c.Evidence.Licenses) > 0 {
			licensed++
		}
	}
	for _, want := range []string{"std", "github.com/caddyserver/caddy/v2", "go.etcd.io/bbolt", "github.com/redis/go-redis/v9"} {
		if !found[want] {
			t.Errorf("the SBOM does not name %s", want)
		}
	}
	if licensed < len(bom.Components)*3/4 {
		t.Errorf("only %d of %d components have a licence", licensed, len(bom.Components))
	}
}

// checkVersion checks that the binary of an archive runs, and says which release it is.
func checkVersion(t *testing.T, archive string) {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xzf", archive, "-C", dir, "--strip-components=1").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	out, err := exec.Command(filepath.Join(dir, "caddy"), "webhook-guard", "--version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "webhook-guard v1.2.3 (Caddy v") {
		t.Errorf("%v: %s", err, out)
	}
	notices, err := os.ReadFile(filepath.Join(dir, "THIRD_PARTY_LICENSES.txt"))
	if err != nil || !strings.Contains(string(notices), "github.com/caddyserver/caddy/v2") || !strings.Contains(string(notices), "Go and its standard library") {
		t.Errorf("the licences of others have %d bytes, %v", len(notices), err)
	}
}
