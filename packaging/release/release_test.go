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
		"linux":   {"caddy", "LICENSE", "README.md", "CHANGELOG.md", "Caddyfile", "webhook-guard.service", "environment"},
		"windows": {"caddy.exe", "LICENSE", "README.md", "CHANGELOG.md", "Caddyfile"},
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
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", source, "-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	settle := func() error {
		r := &release{source: source, out: t.TempDir()}
		return r.settle("linux/amd64")
	}
	git("init", "-q")
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
}

// A release has a semantic version, and goes into a directory of its own.
func TestWhatMakesNoRelease(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	for _, version := range []string{"1.2.3", "v1.2", "v1.2.3 ", "v1.2.3+build", "latest"} {
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
