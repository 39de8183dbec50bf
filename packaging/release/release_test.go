package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

func testRelease(t *testing.T) *release {
	t.Helper()
	r := &release{
		source: "../..", out: t.TempDir(), version: "v1.2.3", commit: strings.Repeat("0123456789", 4),
		time: time.Unix(1_700_000_000, 0).UTC(), targets: []target{{"linux", "amd64"}, {"windows", "arm64"}},
	}
	return r
}

// The checksum of the tool is that of a build of somebody's own. Everything else of an SBOM
// stays.
func TestAnSBOMHasNoChecksumOfItsTool(t *testing.T) {
	got, err := withoutToolSums([]byte(`{"version":1,"metadata":{"component":{"hashes":["1"]},"tools":[{"name":"a","hashes":["2"]}]},"components":[{"hashes":["3"]}]}`))
	want := `{"components":[{"hashes":["3"]}],"metadata":{"component":{"hashes":["1"]},"tools":[{"name":"a"}]},"version":1}` + "\n"
	if flat := strings.Join(strings.Fields(string(got)), "") + "\n"; err != nil || flat != want {
		t.Errorf("%s, %v", got, err)
	}
	for _, other := range []string{`{}`, `{"metadata":{"tools":[]}}`, `[]`} {
		if _, err := withoutToolSums([]byte(other)); err == nil {
			t.Errorf("%s was taken", other)
		}
	}
}

// An archive is the same wherever its files come from, whatever their times and modes.
func TestArchivesAreReproducible(t *testing.T) {
	for _, system := range []string{"linux", "windows"} {
		var archives [][]byte
		for n := range 2 {
			r := testRelease(t)
			binary := filepath.Join(t.TempDir(), "caddy")
			if err := os.WriteFile(binary, []byte("binary"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(binary, []os.FileMode{0o700, 0o755}[n]); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(binary, time.Time{}, time.Unix(int64(1_000_000*n), 0)); err != nil {
				t.Fatal(err)
			}
			to := target{system, "amd64"}
			if err := r.archive(to, "stem", r.contents(to, binary)); err != nil {
				t.Fatal(err)
			}
			files, err := os.ReadDir(r.out)
			if err != nil || len(files) != 1 {
				t.Fatalf("%v, %v", files, err)
			}
			data, err := os.ReadFile(filepath.Join(r.out, files[0].Name()))
			if err != nil {
				t.Fatal(err)
			}
			archives = append(archives, data)
		}
		if !bytes.Equal(archives[0], archives[1]) {
			t.Errorf("two archives for %s differ", system)
		}
	}
}

// Ordinary programs read the archives, and find all that is needed to start.
func TestWhatIsInTheArchives(t *testing.T) {
	for system, want := range map[string][]string{
		"linux":   {"caddy", "LICENSE", "README.md", "CHANGELOG.md", "Caddyfile", "demo.env", "webhook-guard.service", "environment"},
		"windows": {"caddy.exe", "LICENSE", "README.md", "CHANGELOG.md", "Caddyfile", "demo.env"},
	} {
		r := testRelease(t)
		binary := filepath.Join(t.TempDir(), "caddy")
		if err := os.WriteFile(binary, []byte("binary"), 0o755); err != nil {
			t.Fatal(err)
		}
		to := target{system, "amd64"}
		if err := r.archive(to, "stem", r.contents(to, binary)); err != nil {
			t.Fatal(err)
		}
		names, executable := list(t, filepath.Join(r.out, map[string]string{"linux": "stem.tar.gz", "windows": "stem.zip"}[system]))
		for i := range want {
			want[i] = "stem/" + want[i]
		}
		if !slices.Equal(names, want) || !slices.Equal(executable, want[:1]) {
			t.Errorf("%s: %v, and %v can be run; want %v", system, names, executable, want)
		}
	}
}

func list(t *testing.T, file string) (names, executable []string) {
	t.Helper()
	add := func(name string, mode os.FileMode) {
		names = append(names, name)
		if mode&0o111 != 0 {
			executable = append(executable, name)
		}
	}
	if strings.HasSuffix(file, ".zip") {
		r, err := zip.OpenReader(file)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for _, f := range r.File {
			add(f.Name, f.Mode())
		}
		return names, executable
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		head, err := r.Next()
		if err == io.EOF {
			return names, executable
		}
		if err != nil {
			t.Fatal(err)
		}
		if head.Uid != 0 || head.Gid != 0 || head.Uname != "" {
			t.Errorf("%s belongs to %s", head.Name, head.Uname)
		}
		add(head.Name, head.FileInfo().Mode())
	}
}

// The statement is one that in-toto's own library reads, names every file with its digest, and
// the commit.
func TestTheProvenanceIsAStatement(t *testing.T) {
	r := testRelease(t)
	if err := os.WriteFile(filepath.Join(r.out, "a.tar.gz"), []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	sums, err := checksums(r.out)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.provenance(sums)
	if err != nil {
		t.Fatal(err)
	}
	var statement intoto.Statement
	if err := protojson.Unmarshal(text, &statement); err != nil {
		t.Fatal(err)
	}
	if err := statement.Validate(); err != nil {
		t.Error(err)
	}
	predicate, err := protojson.Marshal(statement.GetPredicate())
	if err != nil {
		t.Fatal(err)
	}
	var built provenance.Provenance
	if err := protojson.Unmarshal(predicate, &built); err != nil {
		t.Fatal(err)
	}
	if err := built.Validate(); err != nil {
		t.Error(err)
	}
	digest := sha256.Sum256([]byte("a"))
	subject := statement.GetSubject()
	if len(subject) != 1 || subject[0].GetName() != "a.tar.gz" || subject[0].GetDigest()["sha256"] != hex.EncodeToString(digest[:]) {
		t.Errorf("the subjects are %v", subject)
	}
	if from := built.GetBuildDefinition().GetResolvedDependencies(); len(from) != 1 || from[0].GetDigest()["gitCommit"] != r.commit {
		t.Errorf("it is built from %v", from)
	}
	if want := hex.EncodeToString(digest[:]) + "  a.tar.gz\n"; sumsFile(sums) != want {
		t.Errorf("SHA256SUMS is %q, want %q", sumsFile(sums), want)
	}
}

// A release names the commit that it was built from, so there is none of a work tree with
// changes.
func TestAReleaseIsOfACommit(t *testing.T) {
	source := t.TempDir()
	git := inClone(t, source)
	settle := func() error {
		r := &release{source: source, out: t.TempDir()}
		return r.settle("linux/amd64")
	}
	git("init", "-q")
	git("config", "status.showUntrackedFiles", "no")
	if err := settle(); err == nil || !strings.Contains(err.Error(), "-commit") {
		t.Errorf("without a commit: %v", err)
	}
	git("commit", "-q", "--allow-empty", "-m", "x")
	if err := settle(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(source, "new.go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := settle(); err == nil || !strings.Contains(err.Error(), "new.go") {
		t.Errorf("with a file that is not committed: %v", err)
	}
	part := filepath.Join(source, "part")
	if err := os.MkdirAll(part, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &release{source: part, out: t.TempDir()}
	if err := r.settle("linux/amd64"); err == nil || !strings.Contains(err.Error(), "another clone") {
		t.Errorf("in a directory of another clone: %v", err)
	}
}

// A commit that was a candidate first is released as what it is in the end. A tag that is no
// version says nothing.
func TestTheVersionIsTheHighestTag(t *testing.T) {
	source := t.TempDir()
	git := inClone(t, source)
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "x")
	for _, step := range []struct{ tag, want string }{
		{"vendored", "v0.0.0-dev."}, {"v1", "v0.0.0-dev."}, {"v1.2.3-rc.2", "v1.2.3-rc.2"}, {"v1.2.3-rc.10", "v1.2.3-rc.10"},
		{"v1.2.3", "v1.2.3"}, {"v1.2.3-rc.11", "v1.2.3"},
	} {
		git("tag", "-a", "-m", "x", step.tag)
		r := &release{source: source, out: t.TempDir()}
		if err := r.settle("linux/amd64"); err != nil || !strings.HasPrefix(r.version, step.want) {
			t.Errorf("with the tag %s too the version is %q, %v; want %s", step.tag, r.version, err, step.want)
		}
	}
}

// GitHub replaces some characters in the names of a release's files, and the checksums would
// then name none that anybody has.
func TestPackagesHaveNamesThatStay(t *testing.T) {
	r := testRelease(t)
	r.version = "v1.2.3-rc.1"
	var err error
	if r.source, err = filepath.Abs(r.source); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "caddy")
	if err := os.WriteFile(file, []byte("binary"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		if err := r.packages(target{"linux", arch}, file, file); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := checksums(r.out)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range sums {
		names = append(names, s.file)
	}
	want := []string{
		"caddy-webhook-guard-1.2.3-rc.1-1.aarch64.rpm", "caddy-webhook-guard-1.2.3-rc.1-1.x86_64.rpm",
		"caddy-webhook-guard_1.2.3-rc.1_amd64.deb", "caddy-webhook-guard_1.2.3-rc.1_arm64.deb",
	}
	if !slices.Equal(names, want) {
		t.Errorf("they are %v, want %v", names, want)
	}
	// Inside, a candidate is lower than its release.
	out, err := exec.Command("dpkg-deb", "--field", filepath.Join(r.out, want[2]), "Version").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "1.2.3~rc.1" {
		t.Errorf("the version of the deb is %q, %v", out, err)
	}
}

// inClone runs git in a directory, as somebody with a name.
func inClone(t *testing.T, dir string) func(args ...string) {
	return func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

// A release has a semantic version, and goes into a directory of its own.
func TestWhatMakesNoRelease(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	for _, version := range []string{"1.2.3", "v1.2", "v1.2.3 ", "v1.2.3+build", "v01.2.3", "v1.2.3-rc..1", "latest"} {
		r := &release{source: "../..", out: t.TempDir(), version: version, commit: "c"}
		if err := r.settle("linux/amd64"); err == nil || !strings.Contains(err.Error(), "v1.2.3") {
			t.Errorf("%q: %v", version, err)
		}
	}
	r := &release{source: "../..", out: t.TempDir(), version: "v1.2.3-rc.1", commit: "c"}
	if err := r.settle("linux"); err == nil || !strings.Contains(err.Error(), "linux/amd64") {
		t.Errorf("a platform without an architecture: %v", err)
	}
	used := t.TempDir()
	if err := os.WriteFile(filepath.Join(used, "old.zip"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r = &release{source: "../..", out: used, version: "v1.2.3", commit: "c"}
	if err := r.settle("linux/amd64"); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a directory with files: %v", err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	r = &release{source: "../..", out: t.TempDir(), version: "v1.2.3", commit: "c"}
	if err := r.settle("linux/amd64"); err == nil || !strings.Contains(err.Error(), "seconds since 1970") {
		t.Errorf("a time that is none: %v", err)
	}
}
