package editors_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// hard are blocks whose ends are easily missed, and lines that only look like ours.
const hard = `{
	webhook_guard {
		store redis {$REDIS_URL:redis://127.0.0.1:6379} {
			tls {
				ca /etc/ca.pem
			}
			pool_size 10
		}
		provider acme {
			signature X-Acme sha256 hex sha256={signature}
			signed {body}
		}
		max_buffered 64MiB
	}
}
(guarded) {
	webhook_guard {args[0]} { # a comment {
		secret {env.SECRET}
		# webhook_guard x {
	}
}
:8080 {
	@hooks path /webhooks/*
	webhook_guard @hooks stripe {
		secret {env.SECRET}
		inbox {
			deliver { # through Caddy's own
				@slow header X-Slow 1
				handle @slow {
					reverse_proxy {env.SLOW} {
						transport http {
							tls
							read_timeout 10s
						}
						header_up Host {upstream_hostport}
					}
				}
				rate 1
				reverse_proxy app:5000 {
					transport webhook {
						dial_timeout 1s
					}
				}
			}
			retry 1s 2s
		}
		max_age 5m
	}
	secret outside
	webhook_guard_ui /ui {
		banner "{ in a text"
		read_only
	}
	rate outside
}
`

// ours are the blocks that have lines of the directive.
var ours = []string{"webhook_guard", "inbox", "store", "provider", "tls"}

// kindOf is the scope that the first word of a line has to have, inside of the given blocks.
func kindOf(word string, opens bool, blocks []string) string {
	at := slices.Index(blocks, "webhook_guard")
	switch {
	case word == "}" || word == "{":
		return ""
	case opens && (word == "webhook_guard" || word == "webhook_guard_ui"), word == "webhook_guard_ui":
		return "keyword.control"
	case slices.Contains(blocks, "webhook_guard_ui"):
		return "keyword.other.line"
	case at >= 0 && !slices.ContainsFunc(blocks[at:], func(name string) bool { return !slices.Contains(ours, name) }):
		return "keyword.other.line"
	}
	return ""
}

// caddyfiles are all that the repository has.
func caddyfiles(t *testing.T) []string {
	t.Helper()
	texts := []string{hard}
	for name, text := range adapted(t) {
		if !strings.HasPrefix(name, "refused_") {
			texts = append(texts, text)
		}
	}
	fenced := regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```")
	for _, pattern := range []string{"../README.md", "../docs/*.md", "../docs/guides/*.md", "../Caddyfile", "../examples/*/Caddyfile"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Ext(file) != ".md" {
				texts = append(texts, string(text))
			}
			for _, block := range fenced.FindAllStringSubmatch(string(text), -1) {
				texts = append(texts, block[1])
			}
		}
	}
	return texts
}

// The engine of Visual Studio Code colours each line of the directives, in every Caddyfile that
// the repository has, and no line of Caddy's own.
func TestEachLineIsColoured(t *testing.T) {
	texts := caddyfiles(t)
	asked, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "../test/editor/tokens.mjs", "vscode/webhook-guard.tmLanguage.json")
	node.Stdin, node.Stderr = strings.NewReader(string(asked)), os.Stderr
	answer, err := node.Output()
	if err != nil {
		t.Fatalf("%v: make deps installs what it needs", err)
	}
	var scopes [][][]string
	if err := json.Unmarshal(answer, &scopes); err != nil {
		t.Fatal(err)
	}
	checked := make(map[string]int)
	for i, text := range texts {
		checkColours(t, text, scopes[i], checked)
	}
	if checked["keyword.other.line"] < 200 || checked["keyword.control"] < 100 || checked[""] < 500 {
		t.Errorf("only these lines were found: %v", checked)
	}
}

// checkColours compares the scopes of each line's first word with what Caddy's own lexer makes
// of the text.
func checkColours(t *testing.T, text string, scopes [][]string, checked map[string]int) {
	t.Helper()
	tokens, err := caddyfile.Tokenize([]byte(text), "Caddyfile")
	if err != nil {
		return // a text that is refused
	}
	lines := strings.Split(text, "\n")
	var blocks []string
	for i := 0; i < len(tokens); {
		first, last := tokens[i], tokens[i]
		for ; i < len(tokens) && tokens[i].Line == first.Line; i++ {
			last = tokens[i]
		}
		if first.Text == "}" && len(blocks) > 0 {
			blocks = blocks[:len(blocks)-1]
		}
		want := kindOf(first.Text, last.Text == "{", blocks)
		got := ""
		for _, scope := range scopes[first.Line-1] {
			for _, kind := range []string{"keyword.control", "keyword.other.line"} {
				if scope == kind+".webhook-guard" {
					got = kind
				}
			}
		}
		checked[want]++
		if got != want {
			t.Errorf("the line %q of\n%s\nis %q, want %q: %q", lines[first.Line-1], text, got, want, scopes[first.Line-1])
		}
		if last.Text == "{" {
			blocks = append(blocks, first.Text)
		}
	}
}
