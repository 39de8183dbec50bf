package guides

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// step is one thing that a page has its reader do.
type step struct {
	kind string // file, start, prints, exit, run or text
	arg  string // the file's name, the port, the status
	text string
	line int

	indent string // of a block in a list
}

// page is a document, read.
type page struct {
	steps  []step
	ports  []string
	python []string
	full   bool
	blocks int
}

var (
	comment = regexp.MustCompile(`^<!-- ([a-z]+)(?: (\d+))?(?:: (.*))? -->$`)

	// blockKinds are the steps that blocks are after a comment; "" is none.
	blockKinds = map[string]string{"file": "file", "start": "start", "prints": "prints", "exit": "exit", "output": "text", "shown": ""}
)

// read reads a page. A block whose comment and language do not say what it is for is an
// error: it would not be run.
func read(t *testing.T, file string) page {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var p page
	var open *step
	var said []string // by the comment on the line before
	for i, line := range strings.Split(string(text), "\n") {
		at := fmt.Sprintf("%s:%d", file, i+1)
		fence, isFence := strings.CutPrefix(strings.TrimLeft(line, " "), "```")
		if said != nil && open == nil && !isFence && isBlock(said) {
			t.Fatalf("%s: <!-- %s --> has to stand directly before a block", at, said[1])
		}
		switch {
		case isFence && open == nil:
			open = p.open(t, at, fence, said)
			open.line, open.indent = i+1, line[:len(line)-len(strings.TrimLeft(line, " "))]
			p.blocks++
		case isFence:
			if open.kind != "" {
				p.steps = append(p.steps, *open)
			}
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, open.indent) + "\n"
		}
		said = comment.FindStringSubmatch(strings.TrimSpace(line))
		if said != nil && open == nil {
			p.note(t, at, said)
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: a block does not end", file, open.line)
	}
	return p
}

// open says what the block is for that begins at a line.
func (p *page) open(t *testing.T, at, language string, said []string) *step {
	t.Helper()
	if said != nil {
		if kind, ok := blockKinds[said[1]]; ok && said[2] == "" {
			if said[3] == "" {
				t.Fatalf("%s: <!-- %s: … --> says nothing", at, said[1])
			}
			return &step{kind: kind, arg: said[3]}
		}
	}
	switch language {
	case "sh":
		return &step{kind: "exit", arg: "0"}
	case "text":
		return &step{kind: "text"}
	case "caddyfile":
		return &step{} // test/e2e loads it
	}
	t.Fatalf("%s: nothing runs this block: say what it is by a comment before it", at)
	return nil
}

// isBlock reports whether a comment is about the block after it.
func isBlock(said []string) bool {
	_, ok := blockKinds[said[1]]
	return ok && said[2] == ""
}

// note takes a comment that stands alone.
func (p *page) note(t *testing.T, at string, said []string) {
	t.Helper()
	switch word, port, rest := said[1], said[2], said[3]; {
	case isBlock(said):
	case word == "ports":
		p.ports = strings.Fields(rest)
	case word == "python":
		p.python = strings.Fields(rest)
	case word == "full":
		p.full = true
	case word == "start" && port != "":
		p.steps = append(p.steps, step{kind: "start", arg: port, text: rest + "\n"})
	case word == "run":
		p.steps = append(p.steps, step{kind: "exit", arg: "0", text: rest + "\n"})
	default:
		t.Fatalf("%s: <!-- %s --> is not known", at, word)
	}
}

// expected is a pattern of what a block says is printed.
func expected(text string) *regexp.Regexp {
	var pattern strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "…" {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		quoted := regexp.QuoteMeta(strings.TrimRight(line, " \n"))
		pattern.WriteString(strings.ReplaceAll(quoted, "…", `.*`) + `[ \t]*\n`)
	}
	return regexp.MustCompile(`^` + pattern.String() + `$`)
}

func TestExpected(t *testing.T) {
	for _, tt := range []struct {
		says, printed string
		want          bool
	}{
		{"200 forwarded\n", "200 forwarded\n", true},
		{"200 forwarded\n", "200 forwarded  \n", true},
		{"200 forwarded\n", "200 duplicate\n", false},
		{"200 forwarded\n", "200 forwarded\n503 in_flight\n", false},
		{"handled evt_…\n", "handled evt_1\n", true},
		{"a\n…\nb\n", "a\nb\n", true},
		{"a\n…\nb\n", "a\n1\n2\nb\n", true},
		{"a\n…\nb\n", "a\n1\n2\n", false},
		{"1.5 (ms)\n", "125 (ms)\n", false},
	} {
		if got := expected(tt.says).MatchString(tt.printed); got != tt.want {
			t.Errorf("%q says %q: %v", tt.printed, tt.says, got)
		}
	}
}
