package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	versionHeading = regexp.MustCompile(`^## \[(Unreleased|\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?)\]( - \d{4}-\d{2}-\d{2})?$`)
	sections       = []string{"Upgrade notes", "Added", "Changed", "Fixed"}
)

// problems are what is wrong with the form of a changelog.
func problems(changelog string) (found []string) {
	var last string // section of this version
	versions, number := 0, 0
	for line := range strings.Lines(changelog) {
		number++
		line = strings.TrimSpace(line)
		complain := func(format string, args ...any) {
			found = append(found, fmt.Sprintf("line %d: "+format, append([]any{number}, args...)...))
		}
		switch {
		case strings.HasPrefix(line, "## "):
			heading := versionHeading.FindStringSubmatch(line)
			switch {
			case heading == nil:
				complain("%q is not ## [1.2.3] - 2026-01-31", line)
			case (heading[1] == "Unreleased") != (heading[2] == ""):
				complain("a version has a date, and what is unreleased has none")
			case (heading[1] == "Unreleased") != (versions == 0):
				complain("what is unreleased comes first, once")
			}
			versions, last = versions+1, ""
		case strings.HasPrefix(line, "### "):
			section := line[len("### "):]
			if slices.Index(sections, section) <= slices.Index(sections, last) {
				complain("the section %s is not one of %v, in this order", section, sections)
			}
			last = section
		case strings.HasPrefix(line, "- ") && last == "":
			complain("an entry without a section")
		}
	}
	if versions == 0 {
		found = append(found, "no version")
	}
	return found
}

func TestTheChangelogHasItsForm(t *testing.T) {
	for _, problem := range problems(text(t, "../CHANGELOG.md")) {
		t.Errorf("CHANGELOG.md: %s", problem)
	}
}

// The check above can fail.
func TestAChangelogOfAnotherFormIsTold(t *testing.T) {
	for _, wrong := range []string{
		"", "## 1.0.0\n", "## [1.0.0] - 2026-01-31\n", "## [Unreleased]\n## [1.0.0]\n", "## [Unreleased] - 2026-01-31\n",
		"## [Unreleased]\n### Fixed\n### Added\n", "## [Unreleased]\n### Improved\n", "## [Unreleased]\n### Added\n### Added\n", "## [Unreleased]\n- something\n",
		"## [Unreleased]\n## [Unreleased]\n",
	} {
		if len(problems(wrong)) == 0 {
			t.Errorf("%q passes", wrong)
		}
	}
	if found := problems("## [Unreleased]\n### Added\n- x\n## [1.0.0-rc.1] - 2026-01-31\n### Upgrade notes\n- x\n### Fixed\n- x\n"); len(found) > 0 {
		t.Errorf("a sound one has %q", found)
	}
}
