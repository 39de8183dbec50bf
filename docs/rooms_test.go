package docs

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
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
	"dedupe":      {"dedupe"},
	"config":      {"signature"},
	"internal":    {"config", "internal", "signature", "webhook"},
	"webhook":     {"config", "dedupe", "internal/body", "signature"},
	"explain":     {"config", "explain", "signature", "webhook"},
	"caddymodule": {"caddymodule", "config", "dedupe", "explain", "internal", "signature", "webhook"},
}

// mostLines is what a reader takes in of one file.
const mostLines = 400

// Imports point down only, and no file of production code is long.
func TestTheRoomsKeepTheirOrder(t *testing.T) {
	files := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files++
		file := strings.TrimPrefix(filepath.ToSlash(path), "../")
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if lines := strings.Count(string(text), "\n"); lines > mostLines {
			t.Errorf("%s has %d lines, more than %d: it may hold two subjects", file, lines, mostLines)
		}
		checkImports(t, file, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files: is the walk still right?", files)
	}
}

func checkImports(t *testing.T, file string, text []byte) {
	t.Helper()
	room, _, _ := strings.Cut(file, "/")
	allowed, ruled := below[room]
	if !ruled || strings.HasPrefix(file, "internal/testbed/") || strings.HasPrefix(file, "dedupe/storetest/") || strings.HasPrefix(file, "dedupe/internal/testkit/") {
		return // they serve tests
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
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
