// Package editors_test holds what editors know of the directive against what it takes.
package editors_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// linesIn are the names that parsers know, as their source has them: the table of a provider's
// lines, and what a variable called name is compared with.
func linesIn(t *testing.T, patterns ...string) map[string]bool {
	t.Helper()
	known := make(map[string]bool)
	for _, pattern := range patterns {
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
	return known
}

// directive is one whose lines the grammar has a rule for.
type directive struct {
	rule    string
	parsers []string
	some    []string // lines that it surely has
	pages   []string // that say what each is for
}

var directives = map[string]directive{
	"webhook_guard": {"line", []string{"config/lines.go", "caddymodule/caddyfile.go", "caddymodule/inboxes/caddyfile.go", "caddymodule/stores/*.go"},
		[]string{"secret", "signature", "retry_for", "max_entries", "sentinel"}, []string{"caddyfile.md", "inbox.md", "operations.md"}},
	"webhook_guard_ui": {"pageLine", []string{"caddymodule/ui/caddyfile.go"}, []string{"read_only", "user", "banner"}, []string{"page.md"}},
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

// adapted are the Caddyfiles that the tests of caddymodule adapt, or see refused, by their names.
func adapted(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../caddymodule/testdata/adapt/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	texts := make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)], _, _ = strings.Cut(string(text), "----------")
	}
	return texts
}

// Each line of the directives is in the documents, and in a configuration that is adapted.
func TestEachLineIsDocumentedAndAdapted(t *testing.T) {
	all := strings.Join(slices.Collect(maps.Values(adapted(t))), "")
	own := linesIn(t, "caddymodule/caddyfile.go", "caddymodule/inboxes/caddyfile.go") // less those of providers and stores
	for of, d := range directives {
		documented := ""
		for _, page := range d.pages {
			text, err := os.ReadFile(filepath.Join("..", "docs", page))
			if err != nil {
				t.Fatal(err)
			}
			documented += string(text)
		}
		for name := range linesIn(t, d.parsers...) {
			line := regexp.MustCompile("(?m)(^|`)\\s*" + regexp.QuoteMeta(name) + "( |`|$)")
			if !line.MatchString(documented) {
				t.Errorf("none of docs/%s has the line %s of %s", strings.Join(d.pages, ", docs/"), name, of)
			}
			if of == "webhook_guard" && own[name] && !line.MatchString(all) {
				t.Errorf("no file of caddymodule/testdata/adapt has the line %s of %s", name, of)
			}
		}
	}
}

// The grammar knows each line of the directives, and no word that is none.
func TestTheGrammarKnowsEachLine(t *testing.T) {
	g := read[grammar](t, "webhook-guard.tmLanguage.json")
	for of, d := range directives {
		match := g.Repository[d.rule].Match
		line, known := regexp.MustCompile(match), linesIn(t, d.parsers...)
		for _, name := range d.some {
			if !known[name] {
				t.Fatalf("%s: the line %s was not found: is the search for them still right?", of, name)
			}
		}
		for name := range known {
			for _, text := range []string{name + " value", "\t\t" + name + " value", name} {
				if found := line.FindStringSubmatch(text); found == nil || found[1] != name {
					t.Errorf("the grammar does not know the line %s of %s in %q: add it to vscode/webhook-guard.tmLanguage.json", name, of, text)
				}
			}
		}
		_, rest, _ := strings.Cut(match, "(")
		list, _, _ := strings.Cut(rest, ")")
		for name := range strings.SplitSeq(list, "|") {
			if !known[name] {
				t.Errorf("the grammar knows %s, which is no line of %s", name, of)
			}
		}
		for _, text := range []string{"\t" + d.some[0] + "_not x", "\tx " + d.some[0] + " y", "# " + d.some[0] + " x"} {
			if line.MatchString(text) {
				t.Errorf("the grammar takes %q for a line of %s", text, of)
			}
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
		{"block", "\twebhook_guard {args[0]} { # as imported", true},
		{"block", "\twebhook_guard {args[0]}", false},
		{"block", "\twebhook_guard stripe", false},
		{"block", "\twebhook_guard_ui {", false},
		{"page", "\twebhook_guard_ui {", true},
		{"page", "\twebhook_guard_ui /webhooks {", true},
		{"page", "\twebhook_guard_ui", false},
		{"page", "\twebhook_guard stripe {", false},
		{"nested", "\t\tinbox payments {", true},
		{"deliver", "\t\tdeliver {", true},
		{"nested", "\t\tstore redis {$REDIS_URL} {", true},
		{"nested", "\t\tsecret {env.X}", false},
		{"foreign", "\t\treverse_proxy {env.APP} {", true},
		{"foreign", "\t\t# reverse_proxy app {", false},
	} {
		if got := regexp.MustCompile(g.Repository[tt.rule].Begin).MatchString(tt.text); got != tt.begins {
			t.Errorf("%s begins at %q: %v", tt.rule, tt.text, got)
		}
	}
	for _, rule := range []string{"block", "page", "nested", "deliver", "foreign"} {
		if end := regexp.MustCompile(g.Repository[rule].End); !end.MatchString("\t}") || end.MatchString("\tsecret {env.X}") {
			t.Errorf("%s ends elsewhere", rule)
		}
	}
	alone := regexp.MustCompile(g.Repository["pageAlone"].Match)
	for text, is := range map[string]bool{"\twebhook_guard_ui": true, "webhook_guard_ui /webhooks": true, "\twebhook_guard_ui {": false, "\twebhook_guard_uix": false} {
		if alone.MatchString(text) != is {
			t.Errorf("a page without a block is taken for one in %q: %v", text, !is)
		}
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
	t.Setenv("ALICE_PASSWORD_HASH", "$2a$04$z1a2b3c4d5e6f7g8h9i0juK1xVqk0nq3u5yq0oQ3vYl5h1b2c3d4e")
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
		case strings.HasPrefix(text, "admin.example.com {\n"):
			text = strings.Replace(text, "admin.example.com", ":0", 1)
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
