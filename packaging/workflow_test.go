package packaging_test

import (
	"regexp"
	"strings"
	"testing"

	"golang.org/x/mod/semver"
)

const workflow = "../.github/workflows/ci.yaml"

var (
	uses   = regexp.MustCompile(`(?m)^\s*-?\s*uses: (.+)$`)
	pinned = regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
)

// Whoever moves a tag of an action changes nothing here. `make lint` has actionlint read the
// workflow.
func TestTheWorkflowsActionsArePinned(t *testing.T) {
	text := read(t, workflow)
	actions := uses.FindAllStringSubmatch(text, -1)
	if len(actions) < 4 {
		t.Errorf("only %d actions: is the test still reading them?", len(actions))
	}
	for _, found := range actions {
		if !pinned.MatchString(found[1]) {
			t.Errorf("%s is not pinned by a commit with its version behind it", found[1])
		}
	}
	if !strings.Contains(text, "\npermissions:\n  contents: read\n") {
		t.Error("the workflow may write by default")
	}
}

// A release has the version of the tag that was pushed, and no other tag of its commit.
func TestTheWorkflowReleasesTheTag(t *testing.T) {
	if text := read(t, workflow); !strings.Contains(text, "\n      - run: make release VERSION=\"$GITHUB_REF_NAME\"\n") {
		t.Error("make release looks for a tag of the commit, which may have another one")
	}
}

var (
	goFiles = regexp.MustCompile(`(?m)^\s*go-version-file: (.+)$`)
	goLine  = regexp.MustCompile(`(?m)^go (\S+)$`)
)

// setup-go installs the Go that a file names, and no other one: no module may ask for a later.
func TestTheWorkflowsGoIsNewEnough(t *testing.T) {
	goOf := func(file string) string {
		t.Helper()
		found := goLine.FindStringSubmatch(read(t, "../"+file))
		if found == nil {
			t.Fatalf("%s names no version of Go", file)
		}
		return "v" + found[1]
	}
	files := goFiles.FindAllStringSubmatch(read(t, workflow), -1)
	if len(files) < 4 {
		t.Errorf("only %d jobs have Go: is the test still reading them?", len(files))
	}
	modules := strings.Fields(run(t, nil, "git", "-C", top, "ls-files", "go.mod", "*/go.mod"))
	if len(modules) < 5 {
		t.Fatalf("git knows only of %q", modules)
	}
	for _, file := range files {
		for _, module := range modules {
			if has, wants := goOf(file[1]), goOf(module); semver.Compare(has, wants) < 0 {
				t.Errorf("%s needs Go %s, and the workflow installs %s from %s", module, wants, has, file[1])
			}
		}
	}
}

// Nothing is released that the checks here refuse.
func TestTheWorkflowChecksPackages(t *testing.T) {
	text := read(t, workflow)
	_, job, _ := strings.Cut(text, "\n  packages:\n")
	job, _, _ = strings.Cut(job, "\n\n")
	if !strings.Contains(job, "run: go -C packaging test -count=1 ./...") || !regexp.MustCompile(`(?m)^    needs: \[.*\bpackages\b`).MatchString(text) {
		t.Error("a release does not wait for the checks of packages")
	}
}

var makeCommand = regexp.MustCompile(`(?m)run: make ([a-z-]+)`)

// Each make target that the workflow runs is one.
func TestTheWorkflowsTargetsExist(t *testing.T) {
	makefile := read(t, "../Makefile")
	found := makeCommand.FindAllStringSubmatch(read(t, workflow), -1)
	if len(found) == 0 {
		t.Fatal("the workflow runs no make target: is the test still reading it?")
	}
	for _, target := range found {
		if !regexp.MustCompile(`(?m)^` + target[1] + `:`).MatchString(makefile) {
			t.Errorf("the workflow runs make %s, which is no target", target[1])
		}
	}
}
