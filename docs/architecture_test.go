// Package docs holds the documentation. Its tests check that the pages name files and
// functions that are there.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	quoted     = regexp.MustCompile("`([^`]+)`")
	sourceFile = regexp.MustCompile(`^[\w./-]+\.(go|lua|caddyfile|yaml|md)$`)
	identifier = regexp.MustCompile(`^[A-Za-z]\w*(\.[A-Za-z]\w*)?$`)
)

// A page that walks the reader through the code must not send anybody to a file or a
// function that has been renamed.
func TestTheFilesAndFunctionsOfTheWalksExist(t *testing.T) {
	for _, page := range []string{"architecture.md", "../CONTRIBUTING.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		files, functions := 0, 0
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "| ") {
				continue
			}
			for cell := range strings.SplitSeq(line, "|") {
				f, fn := checkCell(t, page, cell)
				files, functions = files+f, functions+fn
			}
		}
		if files < 5 || page == "architecture.md" && functions < 30 {
			t.Errorf("%s names only %d files and %d functions: is the check still reading it?", page, files, functions)
		}
	}
}

// checkCell checks the files that a cell of a table names, and the functions behind each.
func checkCell(t *testing.T, page, cell string) (files, functions int) {
	t.Helper()
	var declared map[string]bool
	for _, match := range quoted.FindAllStringSubmatch(cell, -1) {
		name := match[1]
		switch {
		case sourceFile.MatchString(name):
			files++
			path := filepath.Join("..", filepath.FromSlash(name))
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s names %s: %v", page, name, err)
				return files, functions
			}
			declared = nil
			if strings.HasSuffix(name, ".go") {
				declared = declarations(t, path)
			}
		case declared != nil && identifier.MatchString(name):
			functions++
			if !declared[name] {
				t.Errorf("%s names %s, which is not in the file named before it", page, name)
			}
		}
	}
	return files, functions
}

// declarations are the functions, methods and types of one file.
func declarations(t *testing.T, path string) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			names[receiver(d)+d.Name.Name] = true
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok {
					names[s.Name.Name] = true
				}
			}
		}
	}
	return names
}

// receiver is the type of a method's receiver and a dot.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	expr := d.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name + "."
		default:
			return ""
		}
	}
}
