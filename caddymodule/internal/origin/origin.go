// Package origin finds out what the placeholders of a configuration are made of, where
// the handlers that set them can be seen.
package origin

import (
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	mapper "github.com/caddyserver/caddy/v2/modules/caddyhttp/map"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
)

// Outputs are the placeholders that handlers set, by name.
type Outputs map[string]output

// output is what a placeholder is made of. By the sources one of the values is chosen.
type output struct {
	sources, values []string
	literal         []string // values whose placeholders stay as they are
	early           bool     // it is made when its handler runs, not when it is asked for
	many            bool     // one value stands for any number of sources
	choices         []choice
}

func (o Outputs) add(name string, more output) {
	had := o[name]
	o[name] = output{append(had.sources, more.sources...), append(had.values, more.values...), append(had.literal, more.literal...), had.early || more.early, had.many || more.many, append(had.choices, more.choices...)}
}

// Roots are the placeholders that the one named is made of in the end: itself where
// nothing visible sets it, or where it keeps the host in the spelling that was sent.
func (o Outputs) Roots(name string) []string {
	return o.roots(name, func(out output) []string { return slices.Concat(out.sources, out.values) }, nil)
}

// ValueRoots is Roots without what only chooses between values.
func (o Outputs) ValueRoots(name string) []string {
	return o.roots(name, func(out output) []string { return out.values }, nil)
}

// Many reports whether any number of requests that differ in what the placeholder is made
// of have one value of it, as a map's default and its regular expressions give one.
func (o Outputs) Many(name string) bool { return o.isMany(name, nil) }

func (o Outputs) isMany(name string, seen []string) bool {
	out, set := o[name]
	if !set || slices.Contains(seen, name) {
		return false
	}
	return out.many || slices.ContainsFunc(slices.Concat(out.sources, out.values), func(text string) bool {
		return slices.ContainsFunc(placeholder.Parse(text).Names(), func(inner string) bool { return o.isMany(inner, append(seen, name)) })
	})
}

// Host is the placeholder of a request's host, LabelPrefix begins those of its labels.
const (
	Host        = "http.request.host"
	LabelPrefix = "http.request.host.labels."
)

// IsHost reports whether a placeholder holds the request's host, or labels of it.
func IsHost(name string) bool { return name == Host || strings.HasPrefix(name, LabelPrefix) }

// Set reports whether a visible handler sets the placeholder.
func (o Outputs) Set(name string) bool {
	_, set := o[name]
	return set
}

// Definition is what the placeholder is made of, in words that differ where it may hold
// something else. It says nothing of what nothing visible sets.
func (o Outputs) Definition(name string) []string {
	seen := make(map[string]bool)
	var words []string
	var define func(name string)
	define = func(name string) {
		out, set := o[name]
		if !set || seen[name] {
			return
		}
		seen[name] = true
		texts := slices.Concat(out.sources, out.values)
		words = append(words, name, strconv.Itoa(len(texts)))
		words = append(words, texts...)
		for _, text := range texts {
			for _, inner := range placeholder.Parse(text).Names() {
				define(inner)
			}
		}
	}
	define(name)
	return words
}

func (o Outputs) roots(name string, texts func(output) []string, seen []string) []string {
	out, set := o[name]
	if !set {
		return []string{name}
	}
	if slices.Contains(seen, name) {
		return nil
	}
	var found []string
	for _, text := range texts(out) {
		for _, inner := range placeholder.Parse(text).Names() {
			found = append(found, o.roots(inner, texts, append(seen, name))...)
		}
	}
	if out.early {
		for i, root := range found {
			if IsHost(root) {
				found[i] = name
			}
		}
	}
	return found
}

// addMap adds what a `map` sets. Its destinations have no braces once it is provisioned.
func (o Outputs) addMap(m *mapper.Handler) {
	for i, name := range m.Destinations {
		out := output{sources: []string{m.Source}, choices: []choice{newChoice(m, i)}}
		for _, mapping := range m.Mappings {
			text := caddy.ToString(at(mapping.Outputs, i))
			if mapping.InputRegexp != "" {
				out.many = out.many || text != ""
				if strings.Contains(text, "$") { // a part of the source
					out.values = append(out.values, m.Source)
				}
				if placeholder.Unreplaced(text) {
					out.literal = append(out.literal, text)
				}
				continue // placeholders in it are not replaced
			}
			out.values = append(out.values, text)
		}
		fallback := at(m.Defaults, i)
		out.values, out.many = append(out.values, fallback), out.many || fallback != ""
		o.add(strings.Trim(name, "{}"), out)
	}
}

func at[T any](list []T, i int) (value T) {
	if i < len(list) {
		value = list[i]
	}
	return value
}

func (o Outputs) addVars(vars caddyhttp.VarsMiddleware) {
	for name, value := range vars {
		text := caddy.ToString(value)
		o.add("http.vars."+name, output{values: []string{text}, early: true, choices: []choice{{fallback: text}}})
	}
}
