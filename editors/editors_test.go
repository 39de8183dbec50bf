// Package editors_test holds what editors know of the directive against what it takes.
package editors_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/webhookguard/caddy-webhook-guard"
)

// read decodes one of the extension's files.
func read[T any](t *testing.T, name string) (v T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("vscode", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// rule is a rule of a TextMate grammar.
type rule struct {
	Match, Begin, End string
	Patterns          []rule
}

type grammar struct{ Repository map[string]rule }

// linesOfTheDirective are the names that the parsers know, as their source has them: the
// table of a provider's lines, and what a variable called name is compared with.
func linesOfTheDirective(t *testing.T) map[string]bool {
	t.Helper()
	known := make(map[string]bool)
	for _, pattern := range []string{"config/lines.go", "caddymodule/caddyfile.go", "caddymodule/inboxes/caddyfile.go", "caddymodule/stores/*.go"} {
		files, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				for _, word := range wordsOf(n) {
					known[word] = true
				}
				return true
			})
		}
	}
	if len(known) < 70 || !known["secret"] || !known["signature"] || !known["retry_for"] || !known["max_entries"] || !known["sentinel"] {
		t.Fatalf("only %d lines were found: is the search for them still right?", len(known))
	}
	return known
}

// wordsOf are the lines that a piece of a parser names.
func wordsOf(n ast.Node) (words []string) {
	text := func(e ast.Expr) string {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			word, _ := strconv.Unquote(lit.Value)
			return word
		}
		return ""
	}
	isName := func(e ast.Expr) bool { id, ok := e.(*ast.Ident); return ok && id.Name == "name" }
	switch n := n.(type) {
	case *ast.KeyValueExpr: // of the table
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "syntax" {
			name, _, _ := strings.Cut(text(n.Value), " ")
			words = append(words, name)
		}
	case *ast.SwitchStmt:
		if !isName(n.Tag) {
			return nil
		}
		for _, clause := range n.Body.List {
			for _, e := range clause.(*ast.CaseClause).List {
				words = append(words, text(e))
			}
		}
	case *ast.BinaryExpr:
		if isName(n.X) && (n.Op == token.EQL || n.Op == token.NEQ) && text(n.Y) != "" && text(n.Y) != "secret" {
			words = append(words, text(n.Y))
		}
	}
	return words
}

// The grammar knows each line of the directive, and no word that is none.
func TestTheGrammarKnowsEachLine(t *testing.T) {
	g := read[grammar](t, "webhook-guard.tmLanguage.json")
	line := regexp.MustCompile(g.Repository["line"].Match)
	known := linesOfTheDirective(t)
	for name := range known {
		for _, text := range []string{name + " value", "\t\t" + name + " value", name} {
			if found := line.FindStringSubmatch(text); found == nil || found[1] != name {
				t.Errorf("the grammar does not know the line %s in %q", name, text)
			}
		}
	}
	_, rest, _ := strings.Cut(g.Repository["line"].Match, "(")
	list, _, _ := strings.Cut(rest, ")")
	for name := range strings.SplitSeq(list, "|") {
		if !known[name] {
			t.Errorf("the grammar knows %s, which is no line", name)
		}
	}
	for _, text := range []string{"\tsecretive x", "\tx secret y", "# secret x"} {
		if line.MatchString(text) {
			t.Errorf("the grammar takes %q for a line", text)
		}
	}
}

// Blocks begin and end where those of a Caddyfile do.
func TestTheGrammarFindsBlocks(t *testing.T) {
	g := read[grammar](t, "webhook-guard.tmLanguage.json")
	for _, tt := range []struct {
		rule, text string
		begins     bool
	}{
		{"block", "\twebhook_guard stripe {", true},
		{"block", "\twebhook_guard @hooks stripe {", true},
		{"block", "\twebhook_guard {", true},
		{"block", "\twebhook_guard stripe", false},
		{"nested", "\t\tinbox payments {", true},
		{"nested", "\t\tdeliver {", true},
		{"nested", "\t\tsecret {env.X}", false},
	} {
		if got := regexp.MustCompile(g.Repository[tt.rule].Begin).MatchString(tt.text); got != tt.begins {
			t.Errorf("%s begins at %q: %v", tt.rule, tt.text, got)
		}
	}
	if end := regexp.MustCompile(g.Repository["block"].End); !end.MatchString("\t}") || end.MatchString("\tsecret {env.X}") {
		t.Error("blocks end elsewhere")
	}
	for name, r := range g.Repository { // all of them are patterns
		for _, p := range append(r.Patterns, r) {
			for _, text := range []string{p.Match, p.Begin, p.End} {
				if _, err := regexp.Compile(text); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
}

var (
	choice = regexp.MustCompile(`\$\{\d+\|([^,|]*)[^}]*\|\}`)
	stop   = regexp.MustCompile(`\$\{\d+:((?:[^}\\]|\\.)*)\}`)
)

// Each snippet, with what it suggests, is a part of a Caddyfile that loads.
func TestSnippetsLoad(t *testing.T) {
	t.Setenv("STRIPE_WEBHOOK_SECRET", "whsec_of_a_test_0123456789")
	t.Setenv("GITHUB_WEBHOOK_SECRET", "of-a-test-0123456789")
	secrets := t.TempDir()
	for _, name := range []string{"stripe", "stripe-old"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte("whsec_of_a_test_0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	snippets := read[map[string]struct {
		Prefix, Description string
		Body                []string
	}](t, "webhook-guard.code-snippets")
	if len(snippets) < 6 {
		t.Errorf("only %d snippets", len(snippets))
	}
	for name, s := range snippets {
		text := strings.Join(s.Body, "\n")
		text = choice.ReplaceAllString(text, "$1")
		text = strings.ReplaceAll(stop.ReplaceAllString(text, "$1"), `\}`, "}")
		text = strings.ReplaceAll(text, "/run/secrets", secrets)
		switch {
		case strings.HasPrefix(text, "{\n"):
		case strings.Contains(text, "reverse_proxy"):
			text = ":0 {\n" + text + "\n}\n"
		default:
			text = ":0 {\n" + text + "\nrespond ok\n}\n"
		}
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
		if err != nil {
			t.Errorf("%s: %v:\n%s", name, err, text)
			continue
		}
		var cfg caddy.Config
		if err := json.Unmarshal(adapted, &cfg); err != nil {
			t.Fatal(err)
		}
		cfg.Admin = &caddy.AdminConfig{Disabled: true}
		if err := caddy.Validate(&cfg); err != nil {
			t.Errorf("%s: %v:\n%s", name, err, text)
		}
		if s.Prefix == "" || s.Description == "" {
			t.Errorf("%s has no prefix or description", name)
		}
	}
}
