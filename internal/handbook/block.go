package handbook

import (
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// customSuffix keeps a copy apart from the provider that it is a copy of.
const customSuffix = "-custom"

// Block is a provider's own lines as a block that can be pasted into the global
// webhook_guard option and changed there.
func Block(name string) (string, error) {
	comment, lines, err := config.EntryText(name)
	if err != nil {
		return "", err
	}
	entry, err := Sum(name, config.Builtin()[name])
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for line := range strings.Lines(comment) {
		out.WriteString(strings.TrimSpace("# "+line) + "\n")
	}
	if comment != "" {
		out.WriteString("#\n")
	}
	out.WriteString(entry.Comment())
	out.WriteString("provider " + name + customSuffix + " {\n")
	for line := range strings.Lines(lines) {
		if source, ok := strings.CutPrefix(strings.TrimSpace(line), "allow "); ok && slices.Contains(entry.Allow, source) {
			line = "# Yours, in place of this:\n\t" + allowLine(source) + "\n"
		}
		out.WriteString("\t" + line)
	}
	for _, param := range entry.Params {
		out.WriteString("\t# Yours, in place of this:\n\tparam " + param + " <" + param + ">\n")
	}
	out.WriteString("}\n")
	return out.String(), nil
}

// allowLine is a line for values that only the user knows.
func allowLine(source string) string {
	return "allow " + source + " <" + source[strings.LastIndexByte(source, ' ')+1:] + ">"
}

// Comment says in lines of comments what is a retry, what is a replay and what stays open.
func (e Entry) Comment() string {
	text := "# Retry: " + e.Retry + ".\n# Replay: " + e.Recognition.Replay + ".\n# Stays open: " + e.StaysOpen + ".\n"
	if e.NeverRetries {
		text += "# It never retries by itself.\n"
	}
	return text
}

// Site is how a route is guarded with the provider.
func Site(e Entry) string {
	variable := strings.ToUpper(strings.ReplaceAll(e.Name, "-", "_"))
	lines := []string{"secret {env." + variable + "_SECRET}"}
	switch {
	case len(e.KeysSecret) > 0:
		lines = []string{"keys_secret"}
		for _, name := range e.KeysSecret {
			lines[0] += " {env." + variable + "_" + strings.ToUpper(name) + "}"
		}
	case e.Keys != "":
		lines = nil // they are fetched
	case e.Kind == config.KindAsymmetric:
		lines = []string{"public_key {env." + variable + "_PUBLIC_KEY}"}
	case e.Kind == config.KindUnsigned:
		lines = []string{"token query token", "secret {env." + variable + "_TOKEN}"}
	}
	for _, param := range e.Params {
		lines = append(lines, "param "+param+" <"+param+">")
	}
	for _, source := range e.Allow {
		lines = append(lines, allowLine(source))
	}
	if len(lines) == 0 {
		return "webhook_guard " + e.Name + "\n"
	}
	return "webhook_guard " + e.Name + " {\n\t" + strings.Join(lines, "\n\t") + "\n}\n"
}
