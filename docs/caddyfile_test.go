package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var fencedCaddyfile = regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```")

// Caddyfiles that are shipped or shown are formatted as `caddy fmt` does: Caddy warns of
// others when it starts. The lines of docs/schemes.md stand in columns instead.
func TestCaddyfilesAreFormatted(t *testing.T) {
	checked := 0
	check := func(name, text string) {
		checked++
		if want := string(caddyfile.Format([]byte(text))); strings.TrimSpace(want) != strings.TrimSpace(text) {
			t.Errorf("%s: caddy fmt makes of it\n%s", name, want)
		}
	}
	for _, pattern := range []string{"../Caddyfile", "../examples/Caddyfile", "../examples/*/Caddyfile", "../README.md", "../docs/*.md", "../docs/guides/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case filepath.Ext(file) != ".md":
				check(file, string(text))
			case filepath.Base(file) != "schemes.md":
				for _, block := range fencedCaddyfile.FindAllStringSubmatch(string(text), -1) {
					check(file, block[1])
				}
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d Caddyfiles found: the search for them is broken", checked)
	}
}
