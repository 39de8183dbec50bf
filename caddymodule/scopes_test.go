package caddymodule

import (
	"slices"
	"testing"
)

func TestScopesOfGuards(t *testing.T) {
	var scopes scopes
	add := func(scope string, byID bool) {
		if err := scopes.add(scopeClaim{scope: scope, loaded: scope, explicit: true, byID: byID}); err != nil {
			t.Fatal(err)
		}
	}
	if known, byID := scopes.find("stripe"); known || byID {
		t.Error("a scope is known where there is no guard")
	}
	add("stripe", true)
	add("shared", true)
	add("shared", false) // a second guard, whose events have another key too
	add("t-{tenant}", true)
	add("t-{http.vars.x}", false)
	for name, want := range map[string][2]bool{
		"stripe": {true, true}, "shared": {true, false}, "t-acme": {true, false}, "t-": {false, false}, "github": {false, false},
	} {
		if known, byID := scopes.find(name); known != want[0] || byID != want[1] {
			t.Errorf("%s: known %t, by its ID alone %t, want %v", name, known, byID, want)
		}
	}
	if got, want := scopes.lines(), []string{"shared", "stripe", "t-{http.vars.x}", "t-{tenant}"}; !slices.Equal(got, want) {
		t.Errorf("the lines are %q, want %q", got, want)
	}
}
