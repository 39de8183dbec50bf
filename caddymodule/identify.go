package caddymodule

import (
	"net/url"
	"strings"
)

// identify names the event, in the namespace that it belongs to.
func (d *delivery) identify() *refusal {
	event, err := d.guard.rules.Identity.Identify(&d.facts, d.verdict.Parts)
	if err != nil {
		return &refusal{ResultIDMalformed, err}
	}
	d.event = event
	if d.guard.scopeVaries {
		d.scope = d.repl.ReplaceKnown(d.guard.Scope, "")
		if d.scope == "" || strings.Contains(d.scope, "{") {
			d.scope = d.guard.Scope
			return refuse(ResultMisconfigured, "the scope %s has no value for this request: give its map a default, or guard only what it knows", d.guard.Scope)
		}
	}
	d.keys = eventKeys(d.scope, event)
	d.event.Content = nil // it refers to the body, which a waiting copy gives up
	d.setFacts()
	return nil
}

// id is the event's ID as people read it.
func (d *delivery) id() string { return strings.Join(d.event.ID, ":") }

// withoutKey cuts a key out of a query and leaves the rest as it is, to the byte.
func withoutKey(query, key string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err == nil && decoded == key {
			continue
		}
		kept = append(kept, pair)
	}
	return strings.Join(kept, "&")
}
