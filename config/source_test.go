package config

import (
	"encoding/json"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// A source is the same in a line, in the JSON made of that line, and in what
// reads requests, whatever characters its name has.
func TestSourcesAreTheSameInLinesAndJSON(t *testing.T) {
	for _, name := range []string{`id`, `a"b`, `"a"`, `a b`, `a b\`, `a\`, `\"`, `a \" b\\`, `{a}`, `#a`, `<<a`} {
		for line, source := range map[string]func(*Resolved) signature.Source{
			"id query":         func(r *Resolved) signature.Source { return r.Scheme.Spec().ID[0] },
			"timestamp query":  func(r *Resolved) signature.Source { return r.Scheme.Spec().Timestamp.Source },
			"event_time query": func(r *Resolved) signature.Source { return r.Scheme.Spec().EventTime.Source },
			"token query":      func(r *Resolved) signature.Source { return r.Token.Source },
			"signature query":  func(r *Resolved) signature.Source { return r.Scheme.Spec().Signatures[0].Source },
			"event query":      func(r *Resolved) signature.Source { return *r.Event },
		} {
			encoded, err := json.Marshal(parse(t, line+" `"+name+"`"))
			if err != nil {
				t.Fatal(err)
			}
			var p Provider
			if err := json.Unmarshal(encoded, &p); err != nil {
				t.Errorf("%s %s: %s: %v", line, name, encoded, err)
				continue
			}
			rules, err := p.Resolve()
			if err != nil {
				t.Errorf("%s %s: %s: %v", line, name, encoded, err)
				continue
			}
			if got := source(rules); got.Kind != signature.SourceQuery || got.Name != name {
				t.Errorf("%s %s: %s is read as %q", line, name, encoded, got.Name)
			}
		}
	}
}

// Sources in JSON are read as generously as a line is.
func TestSourcesFromJSON(t *testing.T) {
	for text, want := range map[string]signature.Source{
		"header x-acme-id":    {Kind: signature.SourceHeader, Name: "X-Acme-Id"},
		" header\tX-Acme-Id ": {Kind: signature.SourceHeader, Name: "X-Acme-Id"},
		`header "X-Acme-Id"`:  {Kind: signature.SourceHeader, Name: "X-Acme-Id"},
		"query `a b`":         {Kind: signature.SourceQuery, Name: "a b"},
		`query a"b`:           {Kind: signature.SourceQuery, Name: `a"b`},
		`body a\.b.c`:         {Kind: signature.SourceBody, Name: `a\.b.c`},
	} {
		encoded, err := json.Marshal(map[string]any{"event": text})
		if err != nil {
			t.Fatal(err)
		}
		var p Provider
		if err := json.Unmarshal(encoded, &p); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		rules, err := p.Resolve()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := *rules.Event; got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}
