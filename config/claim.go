package config

import (
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// wordOr stands between what counts in place of each other.
const wordOr = "or"

func parseClaim(p *Provider, args []string) error {
	claim := signature.Claim{}
	var rest []string
	claim.Name, claim.Or, rest = cutOr(args)
	if len(rest) == 0 {
		return usage("takes a name and a template")
	}
	claim.Template, claim.OrTemplate, rest = cutOr(rest)
	words := strings.Join(rest, " ")
	switch name, unless := strings.CutPrefix(words, "unless "); {
	case words == "":
	case words == "optional":
		claim.Optional = true
	case words == "with_body":
		claim.WithBody = true
	case words == "prefix":
		claim.Prefix = true
	case words == "not_prefix":
		claim.NotPrefix = true
	case unless && len(rest) == 2:
		claim.Unless = name
	default:
		return usage("takes a name and a template")
	}
	p.Claim = append(p.Claim, claim)
	return nil
}

// cutOr takes a word, and those after each or, off the front of words.
func cutOr(words []string) (first string, others, rest []string) {
	first, rest = words[0], words[1:]
	for len(rest) > 1 && rest[0] == wordOr {
		others, rest = append(others, rest[1]), rest[2:]
	}
	return first, others, rest
}

// joinOr is the inverse of cutOr.
func joinOr(first string, others []string) []string {
	words := []string{first}
	for _, other := range others {
		words = append(words, wordOr, other)
	}
	return words
}

// claimWords are those of a claim's line.
func claimWords(c signature.Claim) []string {
	return append(append(joinOr(c.Name, c.Or), joinOr(c.Template, c.OrTemplate)...), claimOption(c)...)
}

func claimOption(c signature.Claim) []string {
	switch {
	case c.Optional:
		return []string{"optional"}
	case c.WithBody:
		return []string{"with_body"}
	case c.Prefix:
		return []string{"prefix"}
	case c.NotPrefix:
		return []string{"not_prefix"}
	case c.Unless != "":
		return []string{"unless", c.Unless}
	}
	return nil
}

// claimText says what a claim has to be.
func claimText(c signature.Claim) string {
	is := " = "
	switch {
	case c.Prefix:
		is = " begins with "
	case c.NotPrefix:
		is = " does not begin with "
	}
	text := strings.Join(joinOr(c.Name, c.Or), " ") + is + strings.Join(joinOr(c.Template, c.OrTemplate), " ")
	if c.Unless != "" {
		text += " unless there is " + c.Unless
	}
	return text
}
