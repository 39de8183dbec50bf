package webhook

import (
	"slices"
	"testing"
)

// Apps see an ID with its colons, and no two IDs of one sender alike.
func TestNoTwoIDsLookAlikeToApps(t *testing.T) {
	for name, ids := range map[string][][]string{
		"two parts":        {{"x:y", "z"}, {"x", "y:z"}, {"x%3Ay", "z"}, {"x", "z"}, {"x:", "y:z"}, {"x", ":y:z"}},
		"three parts":      {{"a:b", "c", "d"}, {"a", "b:c", "d"}, {"a", "b", "c:d"}},
		"one part or more": {{"SM1:received"}, {"SM1", "received"}, {"SM1", "received:"}, {"SM1%3Areceived"}},
	} {
		seen := make(map[string][]string)
		most := 0
		for _, id := range ids {
			most = max(most, len(id))
		}
		for _, id := range ids {
			e := Event{ID: id, parts: most}
			if other, taken := seen[e.JoinedID()]; taken {
				t.Errorf("%s: %q and %q both look like %s", name, id, other, e.JoinedID())
			}
			seen[e.JoinedID()] = id
		}
	}
	for want, e := range map[string]Event{
		"urn:uuid:1":                      {ID: []string{"urn:uuid:1"}, parts: 1},
		"done:doc-1:2026-11-28T13:00:00Z": {ID: []string{"done", "doc-1", "2026-11-28T13:00:00Z"}, parts: 3},
		"":                                {},
	} {
		if got := e.JoinedID(); got != want {
			t.Errorf("shown as %q, want %q", got, want)
		}
	}
}

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
