package handbook

import (
	"strings"
	"testing"
)

func TestProseIsWrapped(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 40)
	page := "# " + long + "\n\n- " + long + "end\n| " + long + "|\n```\n" + long + "\n```\n" + strings.Repeat("x", 200) + "\nshort\n"
	want := "# " + long + "\n\n- " + strings.TrimSpace(strings.Repeat("word ", 31)) + "\n  " + strings.Repeat("word ", 9) + "end\n| " +
		long + "|\n```\n" + long + "\n```\n" + strings.Repeat("x", 200) + "\nshort\n"
	if got := wrapProse(page); got != want {
		t.Errorf("it is\n%s\nwant\n%s", got, want)
	}
}
