package handbook

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// confidences, in words.
var confidences = map[string]string{
	config.ConfidenceOfficial:  "the sender's own documentation",
	config.ConfidenceSDK:       "the sender's own SDK",
	config.ConfidenceSecondary: "**a secondary source**",
}

// unverifiedWords name what may be unverified beside a whole line.
var unverifiedWords = map[string]string{
	"id_stable":         "whether the ID stays the same across retries",
	"timestamp_format":  "the stamp's format",
	"timestamp_renewed": "whether each retry has a new stamp",
}

// Page is docs/providers.md.
func Page(catalogue config.Catalogue) (string, error) {
	entries, err := All(catalogue)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	out.WriteString(pageHead)
	writeNames(&out, entries)
	writeGroups(&out, entries)
	out.WriteString("\n## Never retry\n\n" + NeverRetry(entries) + " never retry by themselves. For them every failure is a lost event: see\n" +
		"[what to do about it](operations.md#receive-from-senders-that-never-retry).\n")
	writeUnsupported(&out)
	out.WriteString("\n## One by one\n")
	for _, e := range entries {
		comment, _, err := config.EntryText(e.Name)
		if err != nil {
			return "", err
		}
		e.write(&out, comment)
	}
	return wrapProse(out.String()), nil
}

const pageHead = `# Providers

<!-- Written by "go generate ./internal/handbook" from config/providers. Change it there. -->

Every sender that is built in: by name, then by what its requests prove, then one by one. ` + "`caddy webhook-guard providers --search <word>`" + `
searches, and ` + "`providers <name>`" + ` prints a sender's lines, ready to be pasted and changed. All of it is derived from the lines in
` + "`config/providers/<name>.caddyfile`" + `.

**Retry** is what makes a request a retry of an event that is known, and **stays open** is what passes although somebody captured it before:

- *nothing*: a captured request is a duplicate, and once it would be forgotten its signed stamp or time is too old.
- *after 72h*: the same, but nothing says how old it is, so it passes when ` + "`dedupe_ttl`" + ` is over.
- *under another ID*: only the ID tells events apart, and it is not signed.
- *with another* part: that part is not signed, and one body is sent with several of it.
- *another body*: the signature does not cover the whole body. Once the event has arrived, its signature is a duplicate's.
- *whoever has the token*, *anyone*: nothing of the request is signed.

**Facts** names the source of the entry: the sender's official documentation, its SDK, or a secondary source. An entry with a secondary source, and
what is listed as unverified, should be tried with a real event before it is relied on: ` + "`caddy webhook-guard explain`" + ` says why one does not verify.

`

// NeverRetry lists the senders that never retry by themselves, each once.
func NeverRetry(entries []Entry) string {
	var names []string
	for _, e := range entries {
		name, _, _ := strings.Cut(cmp.Or(e.Title, e.Name), " (")
		if e.NeverRetries && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return strings.Join(names, "")
}

// code sets a text as code, in a table too.
func code(text string) string {
	if text == "" {
		return "-"
	}
	return "`" + strings.ReplaceAll(text, "|", `\|`) + "`"
}

var escaped = strings.NewReplacer("|", `\|`, "*", `\*`, "<", "&lt;", "_", `\_`)

func escape(text string) string { return escaped.Replace(text) }

func (e Entry) write(out *strings.Builder, comment string) {
	fmt.Fprintf(out, "\n### %s\n\n%s", e.Name, escape(cmp.Or(e.Title, e.Name)))
	if u, err := url.Parse(e.Docs); err == nil && u.Host != "" {
		fmt.Fprintf(out, " · [documentation](%s)", e.Docs)
	}
	fmt.Fprintf(out, "\n\n```caddy\n%s```\n", Site(e))
	if e.SecretHint != "" {
		fmt.Fprintf(out, "\nSecret: %s\n", escape(e.SecretHint))
	}
	if comment != "" {
		fmt.Fprintf(out, "\n%s\n", comment)
	}
	out.WriteString("\n")
	for _, line := range slices.Concat(e.notCovered(), e.facts()) {
		out.WriteString("- " + line + "\n")
	}
}

// notCovered says what the signature does not vouch for.
func (e Entry) notCovered() []string {
	var open []string
	switch e.Kind {
	case config.KindToken:
		return []string{"The token proves who sent the request and nothing about what is in it: whoever sees one request can write any other."}
	case config.KindUnsigned:
		return []string{"**Nothing is signed.** A secret token in the registered URL is all there is, and whoever sees it can send events."}
	}
	if e.BodySigned != "all" {
		signed := "nothing of it is"
		if len(e.SignedFields) > 0 {
			signed = "only these parts are: " + code(strings.Join(e.SignedFields, ", "))
		}
		open = append(open, "**The body as a whole is not signed**, "+signed+".")
	}
	if e.Timestamp != "" && !e.TimestampSigned {
		open = append(open, "The stamp, "+code(e.Timestamp)+", is not signed.")
	}
	if e.Event != "" && !e.EventSigned {
		open = append(open, "The event's type, "+code(e.Event)+", is not signed.")
	}
	if e.ID != "" && !e.IDSigned {
		open = append(open, "The ID, "+code(e.ID)+", is not signed.")
	}
	return open
}

func (e Entry) facts() []string {
	facts := []string{
		"A retry is recognised by " + escape(e.Retry) + ".", "A replay is recognised by " + escape(e.Recognition.Replay) + ".",
		"Stays open: " + escape(e.StaysOpen) + ".",
	}
	switch {
	case e.NeverRetries && e.RetrySpanSeconds > 0:
		facts = append(facts, "**It never retries by itself**; people can redeliver an event for "+span(e.RetrySpanSeconds)+". Events are remembered for "+span(e.DedupeTTLSeconds)+".")
	case e.NeverRetries:
		facts = append(facts, "**It never retries by itself.** Events are remembered for "+span(e.DedupeTTLSeconds)+".")
	case e.RetrySpanSeconds > 0:
		facts = append(facts, "Retries go on for "+span(e.RetrySpanSeconds)+"; events are remembered for "+span(e.DedupeTTLSeconds)+".")
	default:
		facts = append(facts, "How long retries go on is not known; events are remembered for "+span(e.DedupeTTLSeconds)+".")
	}
	if e.Handshake != "" {
		facts = append(facts, "The guard answers the sender's check of the endpoint (`handshake "+e.Handshake+"`).")
	}
	facts = append(facts, "Facts from "+confidences[e.Confidence]+", last checked on "+e.Checked+" against "+e.sourcesText()+".")
	if len(e.Unverified) > 0 {
		var words []string
		for _, word := range e.Unverified {
			name, ok := unverifiedWords[word]
			if !ok {
				name = code(word)
			}
			words = append(words, name)
		}
		facts = append(facts, "**Not verified:** "+strings.Join(words, ", ")+".")
	}
	return facts
}

// sourcesText lists what the facts were checked against.
func (e Entry) sourcesText() string {
	var texts []string
	for _, source := range e.Sources {
		text := code(source)
		if strings.HasPrefix(source, "https://") && !strings.Contains(source, " ") {
			text = "<" + source + ">"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}
