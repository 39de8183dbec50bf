package handbook

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// The marks in docs/handshakes.md between which the kinds stand.
const (
	kindsBegin = "<!-- Written by \"go generate ./internal/handbook\" from config/handshakes. Change it there. -->\n"
	kindsEnd   = "<!-- The end of what is written from config/handshakes. -->\n"
)

// Handshakes puts the kinds of handshakes into docs/handshakes.md, whose text is
// page, and leaves the prose around them as it is.
func Handshakes(page string) (string, error) {
	before, rest, begins := strings.Cut(page, kindsBegin)
	_, after, ends := strings.Cut(rest, kindsEnd)
	if !begins || !ends {
		return "", errors.New("the page has not the marks between which the kinds stand")
	}
	var out strings.Builder
	out.WriteString("\n| kind | providers | the check | who gets a reply | the reply | `{challenge}` |\n|---|---|---|---|---|---|\n")
	rows := kindRows(config.Builtin())
	for _, row := range rows {
		row.write(&out)
	}
	out.WriteString("\nSources and notes:\n\n")
	for _, row := range rows {
		for _, name := range row.names {
			fmt.Fprintf(&out, "- `%s`: %s\n", name, notes(config.Handshakes()[name].Comment))
		}
	}
	return before + kindsBegin + wrapProse(out.String()) + "\n" + kindsEnd + after, nil
}

// notes makes one paragraph of a comment. Its addresses become links.
func notes(comment string) string {
	words := strings.Fields(comment)
	for i, word := range words {
		if address := strings.TrimRight(word, ":."); strings.HasPrefix(word, "https://") {
			end := word[len(address):]
			if end == "" {
				end = "."
			}
			word = "<" + address + ">" + end
		}
		if i == len(words)-1 && !strings.HasSuffix(word, ".") {
			word += "."
		}
		words[i] = word
	}
	return strings.Join(words, " ")
}

// kindRow is a kind, or some that are the same.
type kindRow struct {
	names, providers []string
	kind             config.HandshakeKind
}

// kindRows begins with those that ask for the most proof.
func kindRows(catalogue config.Catalogue) []*kindRow {
	var rows []*kindRow
	for _, name := range config.HandshakeKinds() {
		kind := config.Handshakes()[name]
		same := func(r *kindRow) bool {
			return r.kind.Argument == kind.Argument && reflect.DeepEqual(r.kind.Checks, kind.Checks)
		}
		i := slices.IndexFunc(rows, same)
		if i < 0 {
			i = len(rows)
			rows = append(rows, &kindRow{kind: kind})
		}
		rows[i].names = append(rows[i].names, name)
	}
	for _, name := range catalogue.Names() {
		for _, row := range rows {
			if line := catalogue[name].Handshake; len(line) > 0 && slices.Contains(row.names, line[0]) {
				row.providers = append(row.providers, name)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b *kindRow) int { return int(a.kind.Checks[0].Proof - b.kind.Checks[0].Proof) })
	return rows
}

func (r *kindRow) write(out *strings.Builder) {
	var kinds, providers []string
	for _, name := range r.names {
		kinds = append(kinds, code(r.kind.Syntax(name)))
	}
	for _, name := range r.providers {
		providers = append(providers, "["+name+"](providers.md#"+name+")")
	}
	first := []string{strings.Join(kinds, ", "), cmp.Or(strings.Join(providers, ", "), "-")}
	for _, check := range r.kind.Checks {
		cells := append(first, request(check), whoGetsIt(check, r.kind.Argument), reply(check), challenge(check))
		out.WriteString("| " + strings.Join(cells, " | ") + " |\n")
		first = []string{"", ""} // of the same kind
	}
}

// request says what a check looks like.
func request(c config.Check) string {
	text := strings.Join(c.Methods, " or ")
	for _, condition := range c.When {
		text += ", " + conditionText(condition)
	}
	return text
}

func conditionText(c config.Condition) string {
	switch c.Is {
	case config.Absent:
		return "no " + sourceText(c.Source)
	case config.Equal:
		return sourceText(c.Source) + " is " + code(c.Value)
	case config.EmptyList:
		return sourceText(c.Source) + " is an empty list"
	case config.NoBody:
		return "no body"
	}
	return sourceText(c.Source)
}

func sourceText(s signature.Source) string {
	if s.Kind == config.SourceGiven {
		return "the source of the " + s.Name
	}
	return string(s.Kind) + " " + code(s.Name)
}

func whoGetsIt(c config.Check, argument string) string {
	switch c.Proof {
	case config.ProofToken:
		return "whoever has " + argument + ", " + sourceText(c.Token)
	case config.ProofNone:
		return "anybody"
	}
	return "signed"
}

func reply(c config.Check) string {
	r := c.Reply
	var parts []string
	if r.Status != http.StatusOK || r.Body == "" && len(r.Headers) == 0 {
		parts = append(parts, fmt.Sprint(r.Status))
	}
	for _, header := range r.Headers {
		parts = append(parts, "header "+code(header.Name+": "+header.Value))
	}
	if mediaType, _, _ := strings.Cut(r.Type, ";"); r.Body != "" {
		parts = append(parts, code(r.Body)+" as "+code(mediaType))
	}
	if c.MAC != nil {
		parts = append(parts, "`{mac}`: the challenge's HMAC-"+strings.ToUpper(c.MAC.Algorithm)+" in "+c.MAC.Encoding)
	}
	if c.Digest != "" {
		parts = append(parts, "`{digest}`: the SHA-256 of "+code(c.Digest)+" in hex")
	}
	if c.Confirm != "" {
		parts = append(parts, "after a call of the sender's API that confirms the endpoint, or 503 where that fails")
	}
	return strings.Join(parts, "; ")
}

func challenge(c config.Check) string {
	if c.Challenge.Kind == "" {
		return "-"
	}
	return sourceText(c.Challenge) + ", " + code(c.Bound.Name)
}
