package guides

import (
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// Each guide does what it says.
func TestGuides(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, "docs", "guides", "*.md"))
	if err != nil || len(files) < 15 {
		t.Fatalf("%d guides: %v", len(files), err)
	}
	followed := 0
	for _, file := range files {
		p := read(t, file)
		if p.full && !full || len(p.steps) == 0 {
			continue
		}
		followed++
		t.Run(strings.TrimSuffix(filepath.Base(file), ".md"), func(t *testing.T) {
			t.Parallel()
			follow(t, file, p)
		})
	}
	if followed < 8 {
		t.Errorf("only %d guides have blocks to run", followed)
	}
}
