package origin

import (
	"encoding/json"
	"slices"
	"strings"
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

// Caddy leaves what stands around a placeholder that stands for nothing, and in a line with a
// regular expression the placeholder itself.
func TestBareHoldsWhatIsNoSecret(t *testing.T) {
	o := make(Outputs)
	for _, raw := range []string{
		`{"handler":"map","source":"{http.request.host}","destinations":["{k}","{t}"],"mappings":[
			{"input":"a","outputs":["{env.A}","x"]},{"input":"b","outputs":["text","y"]},{"input":"c","outputs":["pre-{env.C}"]},
			{"input":"d","outputs":["{file./a/{b}}"]},{"input_regexp":"^e","outputs":["re-{env.E}"]},
			{"input":"f","outputs":["{t}:{env.F}"]},{"input":"g","outputs":["{http.request.host}-{t}-"]}],"defaults":["{env.F}:{env.G}"]}`,
		`{"handler":"map","source":"{http.request.host}","destinations":["{outer}"],"defaults":["{k}"]}`,
		`{"handler":"map","source":"{http.request.host}","destinations":["{around}"],"defaults":["({k})"]}`,
		`{"handler":"map","source":"{http.request.host}","destinations":["{self}"],"defaults":["{self}!"]}`,
	} {
		o.addRaw(json.RawMessage(raw))
	}
	lookup := func(name string) (any, bool) {
		value, known := map[string]string{"t": "acme"}[name]
		return value, known
	}
	for name, c := range map[string]struct{ bare, secret []string }{
		"k":         {[]string{"pre-", "}", ":", "re-{env.E}", "acme:"}, []string{"text", "pre-x", "a:b", "acme:x", "re-x", ""}},
		"outer":     {[]string{"pre-", "}", ":", "re-{env.E}", "acme:"}, []string{"text", "acme:x", ""}},
		"around":    {[]string{"()", "(pre-)", "(acme:)", "(re-{env.E})"}, []string{"(text)", "pre-"}},
		"self":      {nil, []string{"", "x!"}},
		"elsewhere": {nil, []string{"", "x"}},
	} {
		bare := o.Bare(name)
		for _, text := range c.bare {
			if !bare.Holds(text, lookup) {
				t.Errorf("%s: %q passes for a secret", name, text)
			}
		}
		for _, text := range c.secret {
			if bare.Holds(text, lookup) {
				t.Errorf("%s: %q passes for none", name, text)
			}
		}
	}
}

// Two names of one secret with two scopes are found, through maps of maps, and wherever the
// secret is from.
func TestTwoNamesOfOneSecret(t *testing.T) {
	t.Setenv("FIRST_KEY", "one")
	t.Setenv("SECOND_KEY", "one")
	const source = `"source":"{http.request.header.T}"`
	chosen := func(name string) bool { return strings.HasPrefix(name, "http.request.header.") }
	for what, c := range map[string]struct {
		scope string
		found bool
		raw   []string
	}{
		"other secrets":          {"{t}", false, []string{`{"handler":"map",` + source + `,"destinations":["{t}","{k}"],"mappings":[{"input":"a","outputs":["1","x"]},{"input":"b","outputs":["2","y"]}]}`}},
		"one secret, one scope":  {"{t}", false, []string{`{"handler":"map",` + source + `,"destinations":["{t}","{k}"],"mappings":[{"input":"a","outputs":["1","x"]},{"input":"b","outputs":["1","x"]}]}`}},
		"one secret, two scopes": {"{t}", true, []string{`{"handler":"map",` + source + `,"destinations":["{t}","{k}"],"mappings":[{"input":"a","outputs":["1","x"]},{"input":"b","outputs":["2","x"]}]}`}},
		"of two places":          {"{t}", true, []string{`{"handler":"map",` + source + `,"destinations":["{t}","{k}"],"mappings":[{"input":"a","outputs":["1","{env.FIRST_KEY}"]},{"input":"b","outputs":["2","{env.SECOND_KEY}"]}]}`}},
		"not set yet":            {"{t}", true, []string{`{"handler":"map",` + source + `,"destinations":["{t}","{k}"],"mappings":[{"input":"a","outputs":["1","{env.NO_KEY}"]},{"input":"b","outputs":["2","{env.NO_KEY}"]}]}`}},
		"a number":               {"{t}", true, []string{`{"handler":"map",` + source + `,"destinations":["{t}","{k}"],"mappings":[{"input":"a","outputs":[1,12]},{"input":"b","outputs":[2,12]}]}`}},
		"a pattern before one":   {"{t}", true, []string{`{"handler":"map",` + source + `,"destinations":["{t}","{k}"],"mappings":[{"input_regexp":"^(a)$","outputs":["t-$1","x"]},{"input":"a","outputs":["1","z"]},{"input":"b","outputs":["2","x"]}]}`}},
		"a map of a map": {"{http.request.header.T}", true, []string{
			`{"handler":"map",` + source + `,"destinations":["{n}"],"mappings":[{"input":"a","outputs":["same"]},{"input":"b","outputs":["same"]}]}`,
			`{"handler":"map","source":"{n}","destinations":["{k}"],"mappings":[{"input":"same","outputs":["x"]}]}`,
		}},
		"two maps": {"{t}", true, []string{
			`{"handler":"map",` + source + `,"destinations":["{k}"],"mappings":[{"input":"a","outputs":["x"]},{"input":"b","outputs":["x"]}]}`,
			`{"handler":"map",` + source + `,"destinations":["{t}"],"mappings":[{"input":"a","outputs":["1"]}],"defaults":["2"]}`,
		}},
		"of the host": {"{t}", false, []string{`{"handler":"map","source":"{http.request.host}","destinations":["{t}","{k}"],"mappings":[{"input":"a","outputs":["1","x"]},{"input":"b","outputs":["2","x"]}]}`}},
		"themselves":  {"{t}", false, []string{`{"handler":"map",` + source + `,"destinations":["{t}"],"mappings":[{"input":"a","outputs":["{t}"]}],"defaults":["{k}{t}"]}`}},
	} {
		o := make(Outputs)
		for _, raw := range c.raw {
			o.addRaw(json.RawMessage(raw))
		}
		if a, b, found := o.Shared([]string{"{k}"}, c.scope, chosen); found != c.found {
			t.Errorf("%s: %q and %q, %t", what, a, b, found)
		}
	}
}
