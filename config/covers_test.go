package config

import (
	"strings"
	"testing"
)

// An entry whose signature does not cover the whole event says so in its comment.
func TestEntriesThatDoNotCoverTheEventSaySo(t *testing.T) {
	for _, name := range Builtin().Names() {
		rules := resolve(t, Builtin()[name].WithParams())
		if !rules.Scheme.Signed() || rules.Scheme.CoversBody() {
			continue
		}
		comment, _, err := EntryText(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(comment, "cover") && !strings.Contains(comment, "says nothing of the body") && !strings.Contains(comment, "payload") {
			t.Errorf("%s signs only a part of its bodies: its comment must say which", name)
		}
	}
}
