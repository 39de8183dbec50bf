// Command release builds all that a release consists of: archives with a static binary for
// each platform, deb and rpm packages, an SBOM for each binary, checksums, and a statement of
// where it all comes from. `make release` runs it.
//
// Everything depends on the source, the version and the Go toolchain alone, so that anybody
// gets the same bytes. All times are the commit's, or SOURCE_DATE_EPOCH where that is set.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// name begins the names of all files.
const name = "caddy-webhook-guard"

// release is what is to be built.
type release struct {
	source  string // the top of the repository
	out     string // where the files go
	work    string // for what is between
	version string // v1.2.3
	commit  string
	time    time.Time // of everything that has one
	targets []target
}

// target is a platform, in Go's words.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "/" + t.arch }

// binary is the file name of Caddy there.
func (t target) binary() string {
	if t.os == "windows" {
		return "caddy.exe"
	}
	return "caddy"
}

// isVersion tells v1.2.3 and v1.2.3-rc.1 from what is short for a version, and from builds.
func isVersion(text string) bool { return text != "" && semver.Canonical(text) == text }

func main() {
	var r release
	targets := ""
	flag.StringVar(&r.source, "source", "..", "top of the repository")
	flag.StringVar(&r.out, "out", "../dist", "directory for the files; it must be empty or missing")
	flag.StringVar(&r.version, "version", "", "semantic version, as v1.2.3; default: the tag of the commit, or v0.0.0-dev.<commit>")
	flag.StringVar(&r.commit, "commit", "", "commit that the source is of; default: that of the clone")
	flag.StringVar(&targets, "targets", "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64", "platforms, separated by commas")
	flag.Parse()
	if err := r.run(targets); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func (r *release) run(targets string) (err error) {
	if err := r.settle(targets); err != nil {
		return err
	}
	if r.work, err = os.MkdirTemp("", name+"-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.work)) }()
	for _, t := range r.targets {
		fmt.Println("building", t)
		if err := r.buildTarget(t); err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
	}
	sums, err := checksums(r.out)
	if err != nil {
		return err
	}
	statement, err := r.provenance(sums)
	if err != nil {
		return err
	}
	fmt.Println("wrote", r.out)
	return errors.Join(
		os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(sumsFile(sums)), 0o644),
		os.WriteFile(filepath.Join(r.out, "provenance.intoto.json"), statement, 0o644))
}

// settle fills in what the flags left open, and refuses what makes no release.
func (r *release) settle(targets string) (err error) {
	for _, p := range []*string{&r.source, &r.out} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	if left, err := os.ReadDir(r.out); err == nil && len(left) > 0 {
		return fmt.Errorf("%s is not empty: remove it, so that no file of another build gets into the checksums", r.out)
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	if r.commit == "" {
		if r.commit, err = r.head(); err != nil {
			return err
		}
	}
	if r.version == "" {
		if r.version, err = r.tagged(); err != nil {
			return err
		}
	}
	if !isVersion(r.version) {
		return fmt.Errorf("version %q is not of the form v1.2.3 or v1.2.3-rc.1", r.version)
	}
	if r.time, err = r.epoch(); err != nil {
		return err
	}
	for platform := range strings.SplitSeq(targets, ",") {
		system, arch, ok := strings.Cut(platform, "/")
		if !ok {
			return fmt.Errorf("platform %q is not of the form linux/amd64", platform)
		}
		r.targets = append(r.targets, target{system, arch})
	}
	return nil
}

// head is the commit of the clone, where that is all that is built.
func (r *release) head() (string, error) {
	commit, err := r.git("rev-parse", "HEAD")
	if err != nil {
		return "", fmt.Errorf("no commit: give -commit outside a clone: %w", err)
	}
	switch within, err := r.git("rev-parse", "--show-prefix"); {
	case err != nil:
		return "", err
	case within != "":
		return "", fmt.Errorf("no commit: %s is a part of another clone: give -commit", r.source)
	}
	// Somebody's own settings may have git pass over new files, which go build takes.
	changed, err := r.git("status", "--porcelain", "--untracked-files=normal")
	if err != nil {
		return "", err
	}
	if changed != "" {
		return "", fmt.Errorf("the work tree is not what was committed, and a release says which commit it is of: commit or remove\n%s", changed)
	}
	return commit, nil
}

// tagged is the version that the commit has a tag of, or one that is lower than any release.
// A commit that was a candidate before it was released has two: the higher one is meant.
func (r *release) tagged() (string, error) {
	tags, err := r.git("tag", "--points-at", r.commit)
	if err != nil {
		return "", fmt.Errorf("no version: give -version outside a clone: %w", err)
	}
	versions := slices.DeleteFunc(strings.Fields(tags), func(tag string) bool { return !isVersion(tag) })
	if len(versions) == 0 {
		return "v0.0.0-dev." + r.commit[:min(12, len(r.commit))], nil
	}
	return slices.MaxFunc(versions, semver.Compare), nil
}

// epoch is the time that all files are given.
func (r *release) epoch() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		var err error
		if text, err = r.git("show", "--no-patch", "--format=%ct", r.commit); err != nil {
			return time.Time{}, fmt.Errorf("no time: set SOURCE_DATE_EPOCH outside a clone: %w", err)
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, want seconds since 1970", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func (r *release) git(args ...string) (string, error) {
	out, err := command(r.source, nil, "git", args...)
	return strings.TrimSpace(out), err
}

// command runs a program to its end, with env added, and returns what it printed. Its error
// has what the program said.
func command(dir string, env []string, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	var failure strings.Builder
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), env...), &failure
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, failure.String())
	}
	return string(out), nil
}
