// Package handbook says of each provider in the catalogue what a person has to
// know before trusting it: as a table, as a block to paste, and as the page
// docs/providers.md. It writes the kinds of handshakes into docs/handshakes.md.
package handbook

import (
	"github.com/webhookguard/caddy-webhook-guard/config"
)

//go:generate go run ./generate ../../docs

// Entry is a provider's summary, as the handbook writes it.
type Entry struct{ config.Summary }

// Sum makes the entry of a provider.
func Sum(name string, p config.Provider) (Entry, error) {
	summary, err := p.Summarize(name)
	return Entry{summary}, err
}

// All sums up a catalogue, in alphabetical order.
func All(catalogue config.Catalogue) ([]Entry, error) {
	var entries []Entry
	for _, name := range catalogue.Names() {
		e, err := Sum(name, catalogue[name])
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// uncertain says whether the entry should be tried before it is relied on.
func (e Entry) uncertain() bool {
	return e.Confidence == config.ConfidenceSecondary || len(e.Unverified) > 0
}
