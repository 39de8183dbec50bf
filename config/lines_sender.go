package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The sources of a catalogue entry's facts.
const (
	ConfidenceOfficial  = "official"
	ConfidenceSDK       = "sdk"
	ConfidenceSecondary = "secondary"
)

func parseHandshake(p *Provider, args []string) error {
	p.Handshake = args
	_, err := parseHandshakeWords(args)
	return err
}

func parseConfidence(p *Provider, args []string) error {
	if len(args) != 1 {
		return errors.New("write confidence official, sdk or secondary")
	}
	p.Confidence = args[0]
	return checkConfidence(p.Confidence)
}

func checkConfidence(word string) error {
	switch word {
	case "", ConfidenceOfficial, ConfidenceSDK, ConfidenceSecondary:
		return nil
	}
	return fmt.Errorf("%q is not one: write official, sdk or secondary", word)
}

func parseChecked(p *Provider, args []string) error {
	p.Checked = args
	return checkChecked(args)
}

// checkChecked refuses a date that is none, and facts that were checked against nothing.
func checkChecked(checked []string) error {
	if len(checked) == 0 {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, checked[0]); err != nil || len(checked) == 1 {
		return errors.New("write the date and then the sources, as in checked 2026-11-28 https://docs.example/webhooks")
	}
	return nil
}

func parseUnverified(p *Provider, args []string) error {
	p.Unverified = args
	return checkUnverified(args)
}

// aspects has the parts of a line that may be unverified by themselves, and their line.
var aspects = map[string]string{
	"id_stable":         "id",
	"timestamp_format":  "timestamp",
	"timestamp_renewed": "timestamp",
}

func checkUnverified(words []string) error {
	for i, word := range words {
		_, line := providerLines[word]
		if _, aspect := aspects[word]; !line && !aspect {
			return fmt.Errorf("%q is neither a line nor one of %s", word, strings.Join(slices.Sorted(maps.Keys(aspects)), ", "))
		}
		if slices.Contains(words[:i], word) {
			return fmt.Errorf("%s is there twice", word)
		}
	}
	return nil
}
