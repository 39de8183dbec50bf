package origin

import (
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
)

// Bare are the texts that a placeholder holds where nothing in them is a secret. Caddy puts
// nothing in the place of a placeholder that stands for nothing, and leaves what stands around
// it. In a line of a map with a regular expression it leaves the placeholders themselves.
type Bare []placeholder.Text

// Holds reports whether a value is one of them, for the request that lookup is of.
func (b Bare) Holds(value string, lookup placeholder.Lookup) bool {
	return slices.ContainsFunc(b, func(text placeholder.Text) bool {
		bare, err := text.Fill(lookup)
		return err == nil && bare == value
	})
}

// Bare are those of the placeholder of this name.
func (o Outputs) Bare(name string) Bare {
	f := bareFinder{o, make(map[string]Bare), make(map[string]bool)}
	return f.of(name)
}

// bareFinder looks at each placeholder once, as each line of a map may name the same.
type bareFinder struct {
	outputs Outputs
	found   map[string]Bare
	known   map[string]bool
}

func (f *bareFinder) of(name string) (bare Bare) {
	if found, ok := f.found[name]; ok {
		return found
	}
	f.found[name] = nil // a placeholder that is made of itself
	defer func() { f.found[name] = bare }()
	had := make(map[string]bool) // tenants' lines leave the same
	add := func(text placeholder.Text) {
		if s := text.String(); s != "" && !had[s] {
			had[s] = true
			bare = append(bare, text)
		}
	}
	for _, text := range f.outputs[name].literal {
		add(placeholder.Literal(text))
	}
	for _, value := range f.outputs[name].values {
		text := placeholder.Parse(value)
		hidden := slices.DeleteFunc(text.Names(), f.isKnown)
		if len(hidden) == 0 {
			continue
		}
		with := func(instead placeholder.Text) {
			add(text.Put(func(name string) (placeholder.Text, bool) { return instead, slices.Contains(hidden, name) }))
		}
		with(placeholder.Text{})
		if len(hidden) == 1 {
			for _, inner := range f.of(hidden[0]) {
				with(inner)
			}
		}
	}
	return bare
}

// isKnown reports whether a placeholder holds what stands in the configuration, such as a
// tenant's name from a map.
func (f *bareFinder) isKnown(name string) bool {
	known, ok := f.known[name]
	if !ok {
		known = len(f.outputs.ValueRoots(name)) == 0 && len(f.of(name)) == 0
		f.known[name] = known
	}
	return known
}
