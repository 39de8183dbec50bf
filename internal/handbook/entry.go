// Package handbook says of each provider in the catalogue what a person has to
// know before trusting it: as a table, as a block to paste, and as the page
// docs/providers.md. It writes the kinds of handshakes into docs/handshakes.md.
package handbook

import (
	"github.com/webhookguard/caddy-webhook-guard/config"
)

//go:generate go run ./generate ../../docs

// Entry is a provider's summary, and what its user has to know beyond.
type Entry struct {
	config.Summary

	// SignedFields are the parts of the body that are signed where the whole of
	// it is not.
	SignedFields []string `json:"signed_fields,omitempty"`

	// Params are the constants that the user has to give.
	Params []string `json:"params,omitempty"`
}

// Sum makes the entry of a provider.
func Sum(name string, p config.Provider) (Entry, error) {
	summary, err := p.Summarize(name)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Summary: summary, Params: p.MissingParams()}
	if e.BodySigned != "part" {
		return e, nil
	}
	rules, err := p.WithParams().Resolve()
	if err != nil {
		return Entry{}, err
	}
	for _, field := range rules.Scheme.CoveredFields() {
		e.SignedFields = append(e.SignedFields, field.String())
	}
	return e, nil
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
