package config

import (
	"reflect"
	"testing"
)

func TestSplitEntry(t *testing.T) {
	for _, c := range []struct{ text, comment, lines string }{
		{"# One.\n# Two.\n#\n# Three.\ndocs a\n\nid body b\n", "One.\nTwo.\n\nThree.", "docs a\nid body b\n"},
		{"docs a\n# of the next line\nid body b", "", "docs a\n# of the next line\nid body b\n"},
		{"#\n#x\ndocs a\n", "x", "docs a\n"},
	} {
		comment, lines := SplitEntry(c.text)
		if comment != c.comment || lines != c.lines {
			t.Errorf("%q: %q, %q", c.text, comment, lines)
		}
	}
}

// The lines are the whole provider.
func TestEntryText(t *testing.T) {
	for _, name := range Builtin().Names() {
		_, lines, err := EntryText(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParseLines(name, []byte(lines))
		if err != nil || !reflect.DeepEqual(p, Builtin()[name]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := EntryText("nobody"); err == nil {
		t.Error("an unknown provider has lines")
	}
}
