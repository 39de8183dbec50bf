package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Lines writes the provider in the lines that it is parsed from, each after an indent.
// The argument of a handshake is left out unless it is a placeholder: it may be secret.
func (p Provider) Lines(indent string) string {
	w := lineWriter{indent: indent}
	w.text("title", p.Title)
	w.text("docs", p.Docs)
	w.text("secret_hint", p.SecretHint)
	if p.Token != "" {
		w.line("token", strings.Fields(p.Token)...)
	}
	for _, s := range p.Signature {
		w.line("signature", signatureWords(s)...)
	}
	for _, template := range p.Signed {
		w.line("signed", append([]string{template}, p.SignedFunctions...)...)
	}
	w.text("items", p.Items)
	w.text("scheme", p.Scheme)
	for _, claim := range p.Claim {
		w.line("claim", claimWords(claim)...)
	}
	if p.Keys != nil {
		w.line("keys", p.Keys.Words()...)
	}
	for _, allowed := range p.Allow {
		w.line("allow", append(sourceWords(allowed.Source), allowed.Values...)...)
	}
	w.words("key_id", sourceWords(p.KeyID))
	if p.SecretEncoding != "" {
		w.line("secret_encoding", withoutEmpty(p.SecretEncoding, p.SecretPrefix)...)
	}
	w.text("public_url", p.PublicURL)
	for _, name := range slices.Sorted(maps.Keys(p.Param)) {
		w.line("param", name, p.Param[name])
	}
	w.stamp("timestamp", p.Timestamp)
	w.stamp("event_time", p.EventTime)
	id := sourcesWords(p.ID)
	if len(p.OrID) > 0 {
		id = append(append(id, wordOr), sourcesWords(p.OrID)...)
	}
	if p.OptionalID {
		id = append(id, "optional")
	}
	w.words("id", id)
	if p.Event != (signature.Source{}) {
		w.line("event", sourceWords(p.Event)...)
	}
	w.text("content", p.Content)
	w.handling(p)
	w.facts(p)
	return w.out.String()
}

// handling writes the lines about how requests are handled.
func (w *lineWriter) handling(p Provider) {
	w.duration("max_age", p.MaxAge)
	w.duration("max_skew", p.MaxSkew)
	w.duration("dedupe_ttl", p.DedupeTTL)
	w.words("methods", p.Methods)
	if p.MaxBody > 0 {
		w.line("max_body", strconv.FormatInt(p.MaxBody, 10)+"B")
	}
	w.duration("body_timeout", p.BodyTimeout)
	w.duration("lease", p.Lease)
	w.duration("timeout", p.Timeout)
	switch {
	case p.InFlight == nil:
	case p.InFlight.Reject:
		w.line("in_flight", "reject")
	default:
		w.line("in_flight", "wait", durationText(p.InFlight.Wait))
	}
	w.words("success", p.Success)
	switch {
	case p.Answer == nil:
	case p.Answer.Remember == DefaultRemember:
		w.line("answer", "remember")
	case p.Answer.Remember > 0:
		w.line("answer", "remember", strconv.FormatInt(p.Answer.Remember, 10)+"B")
	default:
		w.line("answer", withoutEmpty(strconv.Itoa(p.Answer.Status), p.Answer.Body)...)
	}
}

// facts writes the lines that state facts about the sender.
func (w *lineWriter) facts(p Provider) {
	var delays []string
	for _, delay := range p.Retries {
		delays = append(delays, durationText(delay))
	}
	if p.NeverRetries {
		delays = []string{"none"}
	}
	w.words("retries", delays)
	w.duration("retry_span", p.RetrySpan)
	w.duration("answer_within", p.AnswerWithin)
	w.words("final", p.Final)
	w.words("handshake", shownHandshake(p.Handshake))
	w.text("confidence", p.Confidence)
	w.words("checked", p.Checked)
	w.words("unverified", p.Unverified)
}

// lineWriter writes lines of the Caddyfile.
type lineWriter struct {
	out    strings.Builder
	indent string
}

func (w *lineWriter) line(name string, words ...string) {
	w.out.WriteString(w.indent + name)
	for _, word := range words {
		w.out.WriteString(" " + quoteWord(word))
	}
	w.out.WriteString("\n")
}

func (w *lineWriter) text(name, value string) {
	if value != "" {
		w.line(name, value)
	}
}

func (w *lineWriter) words(name string, words []string) {
	if len(words) > 0 {
		w.line(name, words...)
	}
}

func (w *lineWriter) duration(name string, d caddy.Duration) {
	if d != 0 {
		w.line(name, durationText(d))
	}
}

func (w *lineWriter) stamp(name string, stamp *signature.StampSpec) {
	if stamp == nil {
		return
	}
	words := append(sourceWords(stamp.Source), withoutEmpty(stamp.Format)...)
	if stamp.PerEvent {
		words = append(words, "per_event")
	}
	if stamp.Optional {
		words = append(words, "optional")
	}
	w.line(name, words...)
}

func sourcesWords(sources []signature.Source) (words []string) {
	for _, source := range sources {
		words = append(words, sourceWords(source)...)
	}
	return words
}

func sourceWords(s signature.Source) []string { return withoutEmpty(string(s.Kind), s.Name) }

func signatureWords(s signature.SignatureSpec) []string {
	words := []string{s.Header}
	if s.Header == "" {
		words = sourceWords(s.Source)
	}
	options := []string{s.Algorithm, s.Encoding, s.Format}
	for len(s.Split) == 0 && len(options) > 0 && options[len(options)-1] == "" {
		options = options[:len(options)-1]
	}
	words = append(words, options...)
	if len(s.Split) > 0 {
		words = append(append(words, "split"), s.Split...)
	}
	if s.When != nil {
		words = append(append(append(words, "when"), sourceWords(s.When.Source)...), s.When.Value)
	}
	return words
}

// shownHandshake replaces the argument of a handshake: all that is neither its kind, nor a
// source, nor a placeholder.
func shownHandshake(words []string) []string {
	shown := slices.Clone(words)
	for i := 1; i < len(shown); i++ {
		source := signature.Source{Kind: signature.Kind(shown[i]), Name: "x.x"}
		switch {
		case source.Check() == nil:
			i++ // its name
		case !strings.Contains(shown[i], "{"):
			shown[i] = "<argument>"
		}
	}
	return shown
}

func withoutEmpty(words ...string) []string {
	return slices.DeleteFunc(words, func(word string) bool { return word == "" })
}

// quoteWord quotes a word that the Caddyfile would read as several, or as none.
func quoteWord(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\r\n\"`#\\") && word != "{" && word != "}" {
		return word
	}
	if !strings.Contains(word, "`") {
		if strings.ContainsAny(word, "\"\\") {
			return "`" + word + "`"
		}
		return `"` + word + `"`
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

// durationText writes a duration without the units that are zero.
func durationText(d caddy.Duration) string {
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
