package cli

import (
	"flag"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// wantText fails unless an error holds a text.
func wantText(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that holds %q", text)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q does not hold %q", err, text)
	}
}
