package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// mostColumns is the longest line of prose: a longer one cannot be read in a diff.
const mostColumns = 160

func TestLinesOfProseAreShort(t *testing.T) {
	lines := 0
	for _, pattern := range []string{"../*.md", "*.md", "adr/*.md", "guides/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			inCode, number := false, 0
			for line := range strings.Lines(string(text)) {
				number++
				line = strings.TrimSpace(line)
				if strings.HasPrefix(line, "```") {
					inCode = !inCode
				}
				if inCode || strings.HasPrefix(line, "|") || strings.HasPrefix(line, "<!--") { // tables, code and comments cannot be wrapped
					continue
				}
				lines++
				if columns := utf8.RuneCountInString(line); columns > mostColumns {
					t.Errorf("%s:%d has %d columns, more than %d", file, number, columns, mostColumns)
				}
			}
		}
	}
	if lines < 1000 {
		t.Errorf("only %d lines were found", lines)
	}
}
