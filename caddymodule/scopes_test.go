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
	if found := scopes.find("stripe"); found.known || found.byID {
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
		if found := scopes.find(name); found.known != want[0] || found.byID != want[1] {
			t.Errorf("%s: %+v, want known and by its ID alone %v", name, found, want)
		}
	}
	if got, want := scopes.lines(), []string{"shared", "stripe", "t-{http.vars.x}", "t-{tenant}"}; !slices.Equal(got, want) {
		t.Errorf("the lines are %q, want %q", got, want)
	}
}
