package origin

import (
	"maps"
	"regexp"
	"slices"

	"github.com/caddyserver/caddy/v2"
	mapper "github.com/caddyserver/caddy/v2/modules/caddyhttp/map"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
)

// choice is how one handler makes a placeholder: the text that its table has for the text of
// its source. A `vars` has no source and no table.
type choice struct {
	source   string
	exact    map[string]row
	patterns []row
	fallback string
}

type row struct {
	index   int // in the table, whose first match counts
	pattern *regexp.Regexp
	text    string
}

func newChoice(m *mapper.Handler, i int) choice {
	c := choice{source: m.Source, exact: make(map[string]row), fallback: at(m.Defaults, i)}
	for index, mapping := range m.Mappings {
		r := row{index: index, text: caddy.ToString(at(mapping.Outputs, i))}
		if r.text == "" {
			continue
		}
		if mapping.InputRegexp != "" {
			var err error
			if r.pattern, err = regexp.Compile(mapping.InputRegexp); err == nil { // refused by the map itself
				c.patterns = append(c.patterns, r)
			}
			continue
		}
		if _, there := c.exact[mapping.Input]; !there {
			c.exact[mapping.Input] = r
		}
	}
	return c
}

// Hosts are the hosts that maps know, one by one, and choose a value of the placeholder by.
func Hosts(o Outputs, name string) (hosts []string) {
	for _, c := range o[name].choices {
		if c.source == "{"+Host+"}" {
			hosts = slices.AppendSeq(hosts, maps.Keys(c.exact))
		}
	}
	return hosts
}

// of is what the table has for a text. What a pattern makes holds no placeholders.
func (c *choice) of(input string) (text string, placeholders bool) {
	first, known := c.exact[input]
	for _, r := range c.patterns {
		if known && r.index > first.index {
			break
		}
		if match := r.pattern.FindStringSubmatchIndex(input); match != nil {
			return string(r.pattern.ExpandString(nil, r.text, input, match)), false
		}
	}
	if known {
		return first.text, true
	}
	return c.fallback, true
}

// reading is what placeholders hold where a source has one text. Those that nothing visible
// sets hold their own name.
type reading struct {
	outputs       Outputs
	source, input string
	atLoad        placeholder.Lookup
}

func (v reading) fill(text string, depth int) string {
	filled, err := placeholder.Parse(text).Fill(func(name string) (any, bool) { return v.of(name, depth), true })
	if err != nil {
		return text // a file that cannot be read
	}
	return filled
}

// maxDepth ends maps that are made of each other.
const maxDepth = 16

func (v reading) of(name string, depth int) string {
	out, set := v.outputs[name]
	switch {
	case !set && slices.Contains(placeholder.Parse(v.source).Names(), name):
		return v.input
	case !set:
		if value, known := v.atLoad(name); known && value != "" {
			return caddy.ToString(value)
		}
		return "{" + name + "}"
	case depth == maxDepth:
		return ""
	}
	for _, c := range out.choices {
		source := v.input
		if c.source != v.source {
			source = v.fill(c.source, depth+1)
		}
		text, placeholders := c.of(source)
		if placeholders {
			text = v.fill(text, depth+1)
		}
		if text != "" {
			return text
		}
	}
	return ""
}

// Shared finds two texts that the sender chooses between, in the tables of maps, for which
// one of the secrets is the same and the scope is not. chosen reports whether the sender
// chooses what a placeholder holds.
func (o Outputs) Shared(secrets []string, scope string, chosen func(name string) bool) (a, b string, found bool) {
	tables := o.tables(chosen)
	for _, source := range slices.Sorted(maps.Keys(tables)) {
		type use struct{ input, scope string }
		uses := make(map[string]use)
		v := reading{outputs: o, source: source, atLoad: caddy.NewReplacer().Get}
		for _, v.input = range tables[source] {
			now := use{v.input, v.fill(scope, 0)}
			for _, secret := range secrets {
				text := v.fill(secret, 0)
				if text == "" {
					continue
				}
				if other, used := uses[text]; used && other.scope != now.scope {
					return other.input, now.input, true
				}
				uses[text] = now
			}
		}
	}
	return "", "", false
}

// tables are the sources of maps that the sender chooses, and the texts that their tables
// know, in order.
func (o Outputs) tables(chosen func(name string) bool) map[string][]string {
	tables := make(map[string][]string)
	for _, out := range o {
		for _, c := range out.choices {
			if slices.ContainsFunc(placeholder.Parse(c.source).Names(), func(name string) bool { return !o.Set(name) && chosen(name) }) {
				tables[c.source] = slices.AppendSeq(tables[c.source], maps.Keys(c.exact))
			}
		}
	}
	for source, inputs := range tables {
		slices.Sort(inputs)
		tables[source] = slices.Compact(inputs)
	}
	return tables
}
