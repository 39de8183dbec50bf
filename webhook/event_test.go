package webhook

import (
	"slices"
	"testing"
)

// The logged form of an ID is unambiguous, whatever its parts look like.
func TestAnIDInLogsIsReadAsItWas(t *testing.T) {
	seen := make(map[string][]string)
	for _, id := range [][]string{
		{"evt_1"}, {"a", "b"}, {"a:b"}, {"a", "b:c"}, {"a:b", "c"}, {"a", "b", "c"}, {"a%3Ab"}, {"a%3ab"}, {"a%", "3Ab"}, {"%"}, {"%25"}, {"100%", ":"},
		{"document.completed", "doc-1", "2026-11-28T13:00:00Z"}, {"ü", "%C3%BC"},
	} {
		text := FormatID(id)
		if other, taken := seen[text]; taken {
			t.Errorf("%q and %q both look like %s", id, other, text)
		}
		seen[text] = id
		if got := ParseID(text); !slices.Equal(got, id) {
			t.Errorf("%q is shown as %s and read as %q", id, text, got)
		}
	}
	if got := FormatID([]string{"doc", "13:00"}); got != "doc:13%3A00" {
		t.Errorf("shown as %s", got)
	}
	if got := FormatID(nil); got != "" {
		t.Errorf("no ID is shown as %q", got)
	}
}
