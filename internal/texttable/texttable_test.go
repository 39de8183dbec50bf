package texttable

import (
	"strings"
	"testing"
)

type row struct{ name, kind, note string }

var columns = []Column[row]{
	{Title: "NAME", Cell: func(r row) string { return r.name }},
	{Title: "KIND", Width: 6, From: 40, Cell: func(r row) string { return r.kind }},
	{Title: "NOTE", Width: 5, Cell: func(r row) string { return r.note }},
}

var rows = []row{
	{"a-very-long-name", "hmac", "äöüäöü"},
	{"b", "asymmetric", ""},
}

// Names are never cut off, other cells are, by characters and not by bytes; a narrow table
// leaves columns out, and one of no width has everything.
func TestWrite(t *testing.T) {
	for _, tt := range []struct {
		width int
		want  string
	}{
		{20, "NAME             NOTE\na-very-long-name äöüä…\nb\n"},
		{40, "NAME             KIND   NOTE\na-very-long-name hmac   äöüä…\nb                asymm…\n"},
		{0, "NAME             KIND       NOTE\na-very-long-name hmac       äöüäöü\nb                asymmetric\n"},
	} {
		var out strings.Builder
		if err := Write(&out, columns, rows, tt.width); err != nil {
			t.Fatal(err)
		}
		if out.String() != tt.want {
			t.Errorf("width %d:\n%swant\n%s", tt.width, out.String(), tt.want)
		}
	}
}
