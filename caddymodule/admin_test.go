package caddymodule

import (
	"reflect"
	"strings"
	"testing"
)

func TestReadingsOfAnID(t *testing.T) {
	t.Parallel()
	for shown, want := range map[string][][]string{
		"evt_1": {{"evt_1"}},
		"a:b":   {{"a:b"}, {"a", "b"}},
		"a:b:c": {{"a:b:c"}, {"a", "b:c"}, {"a", "b", "c"}, {"a:b", "c"}},
		":a:":   {{":a:"}}, // no part is empty
		"a::b":  {{"a::b"}, {"a", ":b"}, {"a:", "b"}},
	} {
		if got := readings([]string{shown}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s reads as %q, want %q", shown, got, want)
		}
	}
	if got := readings([]string{"a:b", "c"}); !reflect.DeepEqual(got, [][]string{{"a:b", "c"}}) {
		t.Errorf("parts that are given apart read as %q", got)
	}
}

// The readings must stay few: each one is a question to the store.
func TestReadingsAreBounded(t *testing.T) {
	t.Parallel()
	most := readings([]string{strings.Repeat("a:", mostColons) + "a"})
	if len(most) != 1+12+66+220 { // as it is, and in two, three and four parts
		t.Errorf("%d readings of an ID with %d colons", len(most), mostColons)
	}
	if got := readings([]string{strings.Repeat("a:", mostColons+1) + "a"}); len(got) != 1 {
		t.Errorf("%d readings of an ID with more colons, want one", len(got))
	}
}
