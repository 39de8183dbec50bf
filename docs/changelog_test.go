package docs

import (
	"fmt"
	"os"
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

// formatKeepers are the packages whose testdata/formats have what each version writes.
var formatKeepers = []string{"dedupe/disk", "dedupe/redis", "inbox/disk", "inbox/redis"}

// missingFormats are the folders of released versions that are not there.
func missingFormats(changelog string, there func(folder string) bool) (missing []string) {
	for line := range strings.Lines(changelog) {
		heading := versionHeading.FindStringSubmatch(strings.TrimSpace(line))
		if heading == nil || heading[1] == "Unreleased" {
			continue
		}
		for _, keeper := range formatKeepers {
			if folder := keeper + "/testdata/formats/v" + heading[1]; !there(folder) {
				missing = append(missing, folder)
			}
		}
	}
	return missing
}

// Each released version has left what it writes to the tests of the stores, so that every
// later one has to read it; and what is to be released first has, too.
func TestEachVersionHasLeftItsFormats(t *testing.T) {
	there := func(folder string) bool {
		files, err := os.ReadDir("../" + folder)
		return err == nil && len(files) > 0
	}
	for _, folder := range missingFormats(text(t, "../CHANGELOG.md"), there) {
		t.Errorf("%s is not there: releases.md says how a release writes it", folder)
	}
	for _, keeper := range formatKeepers {
		if !there(keeper + "/testdata/formats") {
			t.Errorf("%s has no formats", keeper)
		}
	}
}

// stability.md names the formats that the code writes.
func TestThePageNamesTheFormatsOfTheCode(t *testing.T) {
	page := text(t, "stability.md")
	for _, format := range []struct{ row, word, file, constant string }{
		{"dedupe on a disk", "format", "../dedupe/disk/records.go", `\bformat += \[\]byte\("(\d+)"\)`},
		{"inbox on a disk", "format", "../inbox/disk/index.go", `\bformat += \[\]byte\("(\d+)"\)`},
		{"inbox on a disk", "envelopes", "../inbox/envelope.go", `\benvelopeVersion += (\d+)`},
		{"inbox in Redis", "envelopes", "../inbox/envelope.go", `\benvelopeVersion += (\d+)`},
	} {
		found := regexp.MustCompile(format.constant).FindStringSubmatch(text(t, format.file))
		if found == nil {
			t.Errorf("%s does not say which version it writes", format.file)
			continue
		}
		if !regexp.MustCompile(`(?m)^\| ` + format.row + ` \|[^|]*\b` + format.word + ` ` + found[1] + `\b`).MatchString(page) {
			t.Errorf("stability.md does not say %s %s of the %s", format.word, found[1], format.row)
		}
	}
}

func TestAVersionWithoutItsFormatsIsTold(t *testing.T) {
	got := missingFormats("## [Unreleased]\n## [1.1.0] - 2026-02-01\n## [1.0.0] - 2026-01-31\n", func(folder string) bool {
		return strings.HasSuffix(folder, "/v1.0.0") || folder == "inbox/disk/testdata/formats/v1.1.0"
	})
	want := []string{"dedupe/disk/testdata/formats/v1.1.0", "dedupe/redis/testdata/formats/v1.1.0", "inbox/redis/testdata/formats/v1.1.0"}
	if !slices.Equal(got, want) {
		t.Errorf("missing are %v, want %v", got, want)
	}
}

// The check of the form can fail.
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
