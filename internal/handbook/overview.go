package handbook

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// group is a part of the overview: the senders of which requests prove the same.
type group struct {
	title, text string
	holds       func(Entry) bool
}

// groups are in the order of what a request proves.
var groups = []group{
	{"Signed", "Every request is signed. What of it the signature covers, and what a captured request can still do, is in the columns.",
		func(e Entry) bool { return e.Kind == config.KindHMAC || e.Kind == config.KindAsymmetric }},
	{"With a token", "The sender sends a token that you chose: who sees one request can write any other. Where it offers both, choose a signature.",
		func(e Entry) bool { return e.Kind == config.KindToken }},
	{"Without any proof", "The sender neither signs nor sends a token by itself. Put a secret token into the URL that you register, and keep it out of logs.",
		func(e Entry) bool { return e.Kind == config.KindUnsigned }},
}

// writeNames writes an index by the senders' names, with those that are not supported.
func writeNames(out *strings.Builder, entries []Entry) {
	links := make(map[string]string)
	for _, e := range entries {
		mark := ""
		switch e.Kind {
		case config.KindToken:
			mark = " (token)"
		case config.KindUnsigned:
			mark = " (nothing)"
		}
		links[strings.ToLower(cmp.Or(e.Title, e.Name))+" "+e.Name] = "[" + escape(cmp.Or(e.Title, e.Name)) + "](#" + e.Name + ")" + mark
	}
	for name, gap := range config.Unsupported {
		links[strings.ToLower(gap.Title)+" "+name] = "[" + escape(gap.Title) + "](#not-supported) (not supported)"
	}
	out.WriteString("## By name")
	letter := ""
	for _, key := range slices.Sorted(maps.Keys(links)) {
		if first := strings.ToUpper(key[:1]); first != letter {
			letter = first
			fmt.Fprintf(out, "\n\n**%s** ", letter)
		} else {
			out.WriteString(" ·\n")
		}
		out.WriteString(links[key])
	}
	out.WriteString("\n")
}

// writeGroups writes a table for each group.
func writeGroups(out *strings.Builder, entries []Entry) {
	for _, g := range groups {
		fmt.Fprintf(out, "\n## %s\n\n%s\n\n", g.title, g.text)
		out.WriteString("| provider | sender | kind | signature | signed | stamp | ID | retry | stays open | retries | handshake | facts |\n" +
			"|---|---|---|---|---|---|---|---|---|---|---|---|\n")
		for _, e := range entries {
			if g.holds(e) {
				out.WriteString("| " + strings.Join(e.row(), " | ") + " |\n")
			}
		}
	}
	out.WriteString("\n⚠: a secondary source, or a part of it that is not verified; the section below says which.\n")
}

func (e Entry) row() []string {
	facts := e.Confidence
	if e.uncertain() {
		facts += " ⚠"
	}
	return []string{
		"[" + e.Name + "](#" + e.Name + ")", escape(cmp.Or(e.Title, e.Name)), e.Kind, code(cmp.Or(e.SignatureHeader, e.Token)), e.signedCell(), signedMark(e.Timestamp, e.TimestampSigned),
		signedMark(e.ID, e.IDSigned), escape(e.Retry), escape(e.StaysOpen), retries(e), cmp.Or(escape(e.Handshake), "-"), facts,
	}
}

// signedCell leaves long templates to the lines.
func (e Entry) signedCell() string {
	switch {
	case e.Kind == config.KindToken:
		return "the token itself"
	case e.Kind == config.KindUnsigned:
		return "nothing"
	case len(e.Signed) > 60:
		return e.Algorithm + ", several parts"
	case strings.Contains(e.Signed, "{"):
		return e.Algorithm + ", " + code(e.Signed)
	}
	return e.Algorithm + ", " + e.Signed
}

func signedMark(text string, signed bool) string {
	switch {
	case text == "":
		return "-"
	case signed:
		return "signed"
	}
	return "not signed"
}

func writeUnsupported(out *strings.Builder) {
	out.WriteString("\n## Not supported\n\nThese senders need more than lines can say. `caddy webhook-guard providers <name>` prints what is missing and the lines to use instead.\n\n")
	for _, name := range slices.Sorted(maps.Keys(config.Unsupported)) {
		gap := config.Unsupported[name]
		fmt.Fprintf(out, "- **%s** (`%s`): %s. Instead, %s.\n", escape(gap.Title), name, gap.Missing, gap.Instead)
	}
}
