package origin

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestRootsGoThroughMapsAndVars(t *testing.T) {
	o := make(Outputs)
	for _, raw := range []string{
		`{"handler":"map","source":"{http.request.host}","destinations":["{tenant}","{key}"],
			"mappings":[{"input":"a.test","outputs":["a","{env.A}"]},{"input_regexp":"^(.*)\\.test$","outputs":["t-$1","{env.T}"]}],
			"defaults":["{http.request.header.X-Tenant}","{env.D}"]}`,
		`{"handler":"vars","who":"{tenant}-{http.request.uri.path}","n":7}`,
		`{"handler":"subroute","routes":[{"handle":[{"handler":"map","source":"{b}","destinations":["{a}"]},{"handler":"map","source":"{a}","destinations":["{b}"]}]}]}`,
		`{"handler":"map","source":["no"]}`, `[]`, `{"handler":"vars","x":{}`,
	} {
		o.addRaw(json.RawMessage(raw))
	}
	for name, want := range map[string]bool{"tenant": true, "key": true, "http.vars.who": true, "http.vars.n": false, "elsewhere": false, "a": false} {
		if got := o.Many(name); got != want {
			t.Errorf("%s has one value for many: %t, want %t", name, got, want)
		}
	}
	for name, want := range map[string][2][]string{
		"tenant": {{"http.request.host", "http.request.header.X-Tenant"}, {"http.request.host", "http.request.header.X-Tenant"}},
		"key":    {{"http.request.host", "env.A", "env.D"}, {"env.A", "env.D"}},
		"http.vars.who": {
			{"http.vars.who", "http.request.header.X-Tenant", "http.request.uri.path"},
			{"http.vars.who", "http.request.header.X-Tenant", "http.request.uri.path"},
		},
		"http.vars.n": {nil, nil},
		"elsewhere":   {{"elsewhere"}, {"elsewhere"}},
		"a":           {nil, nil}, // made of itself
	} {
		for i, got := range [][]string{o.Roots(name), o.ValueRoots(name)} {
			slices.Sort(got)
			slices.Sort(want[i])
			if got = slices.Compact(got); !slices.Equal(got, want[i]) {
				t.Errorf("%s is made of %q, want %q", name, got, want[i])
			}
		}
	}
}
