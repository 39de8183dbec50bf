package docs

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	phonyTargets = regexp.MustCompile(`(?m)^\.PHONY: (.+)$`)
	namedTargets = regexp.MustCompile("`make ([a-z-]+)`")
	makeRow      = regexp.MustCompile("(?m)^\\| (`make [^|]+)\\|([^|]+)\\|([^|]+)\\|$")
)

func text(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Each make target has a row in CONTRIBUTING.md with what it does, and each row is a target.
func TestContributorsFindEachTarget(t *testing.T) {
	makefile := text(t, "../Makefile")
	phony := phonyTargets.FindStringSubmatch(makefile)
	if phony == nil {
		t.Fatal("the Makefile names no targets")
	}
	targets := strings.Fields(phony[1])
	var named []string
	for _, row := range makeRow.FindAllStringSubmatch(text(t, "../CONTRIBUTING.md"), -1) {
		for _, found := range namedTargets.FindAllStringSubmatch(row[1], -1) {
			named = append(named, found[1])
		}
	}
	for _, target := range targets {
		if !slices.Contains(named, target) {
			t.Errorf("make %s has no row in CONTRIBUTING.md", target)
		}
		if !regexp.MustCompile(`(?m)^(?:[a-z-]+ )*` + target + `(?: [a-z-]+)*:.* ## \S`).MatchString(makefile) {
			t.Errorf("make help does not list make %s", target)
		}
	}
	for _, target := range named {
		if !slices.Contains(targets, target) {
			t.Errorf("CONTRIBUTING.md names make %s, which is no target", target)
		}
	}
}

// The tests that CONTRIBUTING.md and stability.md name are there.
func TestThePagesNameTestsThatExist(t *testing.T) {
	for _, page := range []string{"../CONTRIBUTING.md", "stability.md", "releases.md"} {
		named := namedTests.FindAllStringSubmatch(strings.ReplaceAll(text(t, page), "\n", " "), -1)
		if len(named) == 0 {
			t.Errorf("%s names no test: is the check still reading it?", page)
		}
		for _, found := range named {
			tests := testsIn(t, found[2])
			for _, name := range testName.FindAllString(found[1], -1) {
				if !tests[name] {
					t.Errorf("%s names %s, which is no test in %s", page, name, found[2])
				}
			}
		}
	}
}
