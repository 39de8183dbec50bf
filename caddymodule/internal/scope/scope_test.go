package scope

import "testing"

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		line, name string
		want       bool
	}{
		{"stripe", "stripe", true},
		{"stripe", "strip", false},
		{"stripe", "stripe2", false},
		{"{tenant}", "acme", true},
		{"{tenant}", "", false},
		{"eu-{tenant}", "eu-acme", true},
		{"eu-{tenant}", "us-acme", false},
		{"{http.request.host}.{tenant}", "a.example.com.acme", true},
		{"a.b{x}", "aXb1", false},
		{"eu-{tenant}", "eu-{tenant}", true},
	} {
		if got := Matches(c.line, c.name); got != c.want {
			t.Errorf("%q matches %q: %t", c.line, c.name, got)
		}
	}
}
