package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/webhookguard/caddy-webhook-guard/"

// below lists, for each room, the rooms that its production code may import.
var below = map[string][]string{
	"signature":   {},
	"dedupe":      {"dedupe", "internal/diskfile"},
	"inbox":       {"inbox", "internal/diskfile"},
	"config":      {"signature"},
	"internal":    {"config", "internal", "signature", "webhook"},
	"webhook":     {"config", "dedupe", "internal/body", "signature"},
	"explain":     {"config", "explain", "signature", "webhook"},
	"caddymodule": {"caddymodule", "config", "dedupe", "explain", "inbox", "internal", "signature", "webhook"},
}

// mostLines is what a reader takes in of one file, mostMethods of one type.
const (
	mostLines   = 400
	mostMethods = 15
)

// Imports point down only, no file of production code is long, and no type has many methods.
func TestTheRoomsKeepTheirOrder(t *testing.T) {
	files := 0
	methods := make(map[string]int) // by folder and type
	err := filepath.WalkDir("..", func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && at != ".." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files++
		file := strings.TrimPrefix(filepath.ToSlash(at), "../")
		text, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		if lines := strings.Count(string(text), "\n"); lines > mostLines {
			t.Errorf("%s* has %d lines, more than %d: it may hold two subjects", file, lines, mostLines)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		checkImports(t, file, parsed)
		for _, decl := range parsed.Decls {
			if method, ok := decl.(*ast.FuncDecl); ok && method.Recv != nil {
				methods[path.Dir(file)+": "+receiver(method)]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files: is the walk still right?", files)
	}
	if methods["signature: Scheme."] == 0 {
		t.Error("signature.Scheme has no methods: is the count still right?")
	}
	for name, n := range methods {
		if n > mostMethods {
			t.Errorf("%s has %d methods, more than %d: give one of its concerns a type of its own, or make a function of what needs one field", strings.TrimSuffix(name, "."), n, mostMethods)
		}
	}
}

func checkImports(t *testing.T, file string, parsed *ast.File) {
	t.Helper()
	room, _, _ := strings.Cut(file, "/")
	allowed, ruled := below[room]
	serveTests := []string{"internal/testbed/", "dedupe/storetest/", "dedupe/internal/testkit/", "inbox/queuetest/"}
	if !ruled || slices.ContainsFunc(serveTests, func(folder string) bool { return strings.HasPrefix(file, folder) }) {
		return
	}
	for _, spec := range parsed.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		other, own := strings.CutPrefix(path, module)
		if own && !slices.ContainsFunc(allowed, func(room string) bool { return other == room || strings.HasPrefix(other, room+"/") }) {
			t.Errorf("%s imports %s, which is not below it", file, other)
		}
	}
}
