package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	namedTests = regexp.MustCompile("((?:`Test\\w+`(?:, | and )?)+) in `([\\w/]+)`")
	testName   = regexp.MustCompile(`Test\w+`)
	testFunc   = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// testsIn are the tests of a folder.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(dir), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	tests := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range testFunc.FindAllSubmatch(text, -1) {
			tests[string(found[1])] = true
		}
	}
	return tests
}

// SECURITY.md names a test for each attack. The tests are there, and every attack on a
// running gateway is in the table.
func TestEachAttackHasItsTest(t *testing.T) {
	data, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(data), "| attack | what happens | test |\n|---|---|---|\n")
	if !ok {
		t.Fatal("the table of attacks is not found")
	}
	for row := range strings.Lines(table) {
		if strings.HasPrefix(row, "|") && !namedTests.MatchString(row) {
			t.Errorf("no test is named in %s", row)
		}
	}
	folders, named := make(map[string]map[string]bool), make(map[string]bool)
	for _, found := range namedTests.FindAllStringSubmatch(string(data), -1) {
		dir := found[2]
		if folders[dir] == nil {
			folders[dir] = testsIn(t, dir)
		}
		for _, name := range testName.FindAllString(found[1], -1) {
			if named[name] = true; !folders[dir][name] {
				t.Errorf("%s is no test in %s", name, dir)
			}
		}
	}
	for name := range testsIn(t, "test/e2e") {
		if strings.HasPrefix(name, "TestAttack") && !named[name] {
			t.Errorf("%s is an attack, and not in the table", name)
		}
	}
}
