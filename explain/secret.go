package explain

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// prefixes are what senders put before their secrets. Only these are ever
// taken off, put on or named: another one could be a part of the secret.
var prefixes = []string{"whsec_", "whpk_", "whsk_", "wh_", "sk_", "sec_", "secret_", "base64:", "hex:", "Bearer ", "Basic ", "sha256="}

// secretText is another text that may have been meant.
type secretText struct {
	text  string
	cause Cause
}

// secretTexts lists the mistakes with a secret's text.
func secretTexts(p config.Provider, secret string) []secretText {
	var list []secretText
	add := func(text, code, why, do string) {
		if text != "" && text != secret {
			list = append(list, secretText{text, Cause{code, why, do}})
		}
	}
	trimmed := strings.TrimSpace(secret)
	add(trimmed, "secret_space", "The secret has a newline or space before or after it that does not belong to it.",
		"Store it without: printf instead of echo, or an environment variable without the line break.")
	for _, quote := range []string{`"`, `'`, "`"} {
		if inner, ok := strings.CutPrefix(trimmed, quote); ok && strings.HasSuffix(inner, quote) {
			add(strings.TrimSuffix(inner, quote), "secret_quoted", "The secret is stored with quotes around it.", "Store it without the quotes.")
		}
	}
	if name, value, ok := strings.Cut(trimmed, "="); ok && isEnvName(name) {
		add(value, "secret_assignment", "The secret is stored as a whole line, NAME=value.", "Store what follows the equals sign.")
	}
	known := prefixes
	if p.SecretPrefix != "" && !slices.Contains(known, p.SecretPrefix) {
		known = append(slices.Clone(known), p.SecretPrefix)
	}
	for _, prefix := range known {
		if rest, ok := strings.CutPrefix(trimmed, prefix); ok {
			add(rest, "secret_prefix_left_on", "The secret still has its prefix "+strings.TrimSpace(prefix)+", which is no part of the key.",
				"Store it without the prefix, or say `secret_encoding raw "+strings.TrimSpace(prefix)+"`.")
		}
	}
	for _, prefix := range known {
		if !strings.HasPrefix(trimmed, prefix) {
			add(prefix+trimmed, "secret_prefix_missing", "The secret lacks its prefix "+strings.TrimSpace(prefix)+", which is a part of the key.",
				"Store the secret as the sender shows it, with the prefix.")
		}
	}
	for _, end := range []string{"\n", "\r\n", " "} {
		add(secret+end, "secret_space_missing", "The sender signs with a secret that ends in a newline or space, which is missing here.",
			"Set the secret anew at the sender, without it; a line break is easily pasted along.")
	}
	add(strings.ToLower(trimmed), "secret_case", "The secret is written in upper case, the sender's key in lower case.", "Store it as the sender shows it.")
	add(strings.ToUpper(trimmed), "secret_case", "The secret is written in lower case, the sender's key in upper case.", "Store it as the sender shows it.")
	if plain, err := url.QueryUnescape(trimmed); err == nil && strings.Contains(trimmed, "%") {
		add(plain, "secret_escaped", "The secret is stored with its characters escaped for a URL.", "Store it as the sender shows it.")
	}
	return list
}

func isEnvName(name string) bool {
	return name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// encodings of a secret, in words.
var encodings = []struct{ name, words string }{
	{"raw", "the text itself is the key"},
	{"base64", "the text is base64, and the bytes in it are the key"},
	{"hex", "the text is hex, and the bytes in it are the key"},
}

func secretChanges(_ *explainer, t try) []change {
	var list []change
	for _, c := range secretTexts(t.provider, t.secret) {
		list = append(list, change{causes: []Cause{c.cause}, apply: func(t *try) { t.secret = c.text }})
	}
	return append(list, encodingChanges(t)...)
}

// encodingChanges try every other way to make a key of the text, its prefix on
// and off.
func encodingChanges(t try) []change {
	var list []change
	texts := []struct{ text, prefix string }{{strings.TrimSpace(t.secret), ""}}
	for _, prefix := range append(slices.Clone(prefixes), t.provider.SecretPrefix) {
		if rest, ok := strings.CutPrefix(texts[0].text, prefix); ok && prefix != "" {
			texts = append(texts, struct{ text, prefix string }{rest, prefix})
			break
		}
	}
	current := t.provider.SecretEncoding
	if current == "" {
		current = "raw"
	}
	for _, e := range encodings {
		for _, text := range texts {
			key := text.text
			if e.name == "base64" {
				key = strings.NewReplacer("-", "+", "_", "/").Replace(key)
			}
			if e.name == current && key == t.secret {
				continue
			}
			line := strings.TrimSpace("secret_encoding " + e.name + " " + strings.TrimSpace(text.prefix))
			list = append(list, change{
				causes: []Cause{{"secret_encoding", "The secret is in another encoding: " + e.words + ".", "Say `" + line + "`."}},
				apply: func(t *try) {
					t.secret = key
					t.setProvider("secret "+e.name, func(p *config.Provider) { p.SecretEncoding, p.SecretPrefix = e.name, "" })
				},
			})
		}
	}
	// The other way round: the secret was decoded, and the sender uses its text.
	for _, encoded := range []struct{ name, text string }{
		{"base64", base64.StdEncoding.EncodeToString([]byte(t.secret))}, {"hex", hex.EncodeToString([]byte(t.secret))},
	} {
		list = append(list, change{
			causes: []Cause{{"secret_encoding", "The secret was decoded: the sender's key is its " + encoded.name + " text.",
				"Store the secret as the sender shows it."}},
			apply: func(t *try) {
				t.secret = encoded.text
				t.setProvider("secret raw", func(p *config.Provider) { p.SecretEncoding, p.SecretPrefix = "raw", "" })
			},
		})
	}
	return list
}
