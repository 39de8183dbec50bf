// Command dependencies writes docs/dependencies.md: the direct dependencies of the modules
// here, the reason of each, and its licence. `go generate ./...` in packaging/ runs it.
//
// The reason is the comment beside the dependency in its go.mod.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/webhookguard/caddy-webhook-guard/packaging/licences"
)

//go:generate go run . ../..

// own is what the modules here begin with.
const own = "github.com/webhookguard/caddy-webhook-guard"

// parts are the modules, and who gets what they depend on.
var parts = []struct{ dir, title, text string }{
	{".", "The module", "These are in the binary, or in the tests of its packages. What they depend on themselves is in the SBOM of each release."},
	{"test/chaos", "The fault harness", "A module of its own, for the tests alone."},
	{"test/browser", "The browser tests", "A module of its own, for the tests alone."},
	{".ci/site", "The site", "A module of its own: it makes pages of the documents."},
	{"packaging", "Releases and packages", "A module of its own: what builds a release and checks the files of packaging. Nothing of it is in the binary."},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dependencies <top of the repository>")
		os.Exit(2)
	}
	text, err := page(os.Args[1])
	if err == nil {
		err = os.WriteFile(filepath.Join(os.Args[1], "docs", "dependencies.md"), []byte(text), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dependencies:", err)
		os.Exit(1)
	}
}

// page returns all of the page.
func page(source string) (string, error) {
	var text strings.Builder
	text.WriteString("# Dependencies\n\nWritten by `go generate ./...` in `packaging/`, from the comments in each `go.mod`. A test refuses a direct dependency\n" +
		"without a reason, and a module in the binary whose licence is not one of those at the end.\n")
	for _, part := range parts {
		dependencies, err := direct(filepath.Join(source, part.dir))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "\n## %s\n\n%s\n\n| module | licence | why |\n|---|---|---|\n", part.title, part.text)
		for _, d := range dependencies {
			ids, err := d.IDs()
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&text, "| `%s` | %s | %s |\n", d.Path, strings.Join(ids, ", "), d.reason)
		}
	}
	text.WriteString("\n## Licences in the binary\n\n" + strings.Join(accepted, ", ") + ".\n")
	return text.String(), nil
}

// accepted are the licences that what is linked into the binary may have. All of them allow
// to pass it on under Apache-2.0, with their texts beside it. OFL-1.1 is that of a font, and
// GooglePatentsFile a grant beside a BSD licence.
var accepted = []string{"Apache-2.0", "BSD-2-Clause", "BSD-2-Clause-Views", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0", "OFL-1.1", "Unlicense", "GooglePatentsFile"}

// dependency is a direct one, with its reason.
type dependency struct {
	licences.Module
	reason string
}

// direct returns what the module in a directory depends on directly, in the order of go.mod.
func direct(dir string) (all []dependency, err error) {
	file := filepath.Join(dir, "go.mod")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	reasons, err := reasons(file, text)
	if err != nil {
		return nil, err
	}
	paths := make([]string, 0, len(reasons))
	for _, r := range reasons {
		paths = append(paths, r[0])
	}
	modules, err := licences.Listed(dir, paths...)
	if err != nil {
		return nil, err
	}
	byPath := make(map[string]licences.Module)
	for _, m := range modules {
		byPath[m.Path] = m
	}
	for _, r := range reasons {
		all = append(all, dependency{byPath[r[0]], r[1]})
	}
	return all, nil
}

// reasons returns the path and the reason of each direct dependency of a go.mod.
func reasons(file string, text []byte) (all [][2]string, err error) {
	mod, err := modfile.Parse(file, text, nil)
	if err != nil {
		return nil, err
	}
	for _, require := range mod.Require {
		if require.Indirect || strings.HasPrefix(require.Mod.Path, own) {
			continue
		}
		reason := ""
		for _, comment := range require.Syntax.Suffix {
			reason += strings.TrimSpace(strings.TrimPrefix(comment.Token, "//"))
		}
		if reason == "" {
			err = errors.Join(err, fmt.Errorf("%s: %s has no reason: write it as a comment behind its version", file, require.Mod.Path))
		}
		all = append(all, [2]string{require.Mod.Path, reason})
	}
	return all, err
}
