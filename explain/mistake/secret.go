package mistake

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// prefixes are what senders put before their secrets. No other is taken off, put on
// or named: it could be a part of the secret.
var prefixes = []string{"whsec_", "whpk_", "whsk_", "wh_", "sk_", "sec_", "secret_", "base64:", "hex:", "Bearer ", "Basic ", "sha256="}

// SecretText lists mistakes with the text of a secret: what was left on it or is
// missing from it.
func SecretText(c Case) []Mistake {
	p, secret := c.Provider, c.Secret
	var list []Mistake
	add := func(text, code, why, do string) {
		if text != "" && text != secret {
			list = append(list, Mistake{Causes: []Cause{{code, why, do}}, apply: func(r *Reading) { r.Secret = text }})
		}
	}
	if fixed := testSecrets[p.Docs]; fixed != "" {
		add(fixed, "secret_test", "The request is a test, which the sender signs with a fixed secret that its documentation prints.",
			"Nothing has to be done: events are signed with the webhook's own secret. The guard must not take the fixed one, as everybody knows it.")
	}
	bare := withoutMark(secret)
	if bare != secret {
		add(strings.TrimSpace(bare), "secret_bom", "The secret has a byte order mark before it, or is UTF-16: an editor wrote it along.",
			"Store it as UTF-8 without a byte order mark.")
	}
	for _, text := range unescapedLines(secret) {
		add(text, "secret_escapes", `The secret has a backslash and an n in it where a line break is meant, or nothing.`,
			"Store it with real line breaks, or without them: printf, and not echo.")
	}
	trimmed := strings.TrimSpace(bare)
	add(trimmed, "secret_space", "The secret has a newline or space before or after it that does not belong to it.",
		"Store it without: printf instead of echo, or an environment variable without the line break.")
	for _, quote := range []string{`"`, `'`, "`"} {
		if inner, ok := strings.CutPrefix(trimmed, quote); ok && strings.HasSuffix(inner, quote) {
			add(strings.TrimSuffix(inner, quote), "secret_quoted", "The secret is stored with quotes around it.", "Store it without the quotes.")
		}
	}
	for _, value := range assigned(trimmed) {
		add(value, "secret_assignment", "The secret is stored as a whole line, NAME=value.", "Store what follows the name.")
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

// testSecrets are the secrets that senders sign their tests with, by the documentation
// that prints them.
var testSecrets = map[string]string{
	"https://developer.zendesk.com/documentation/webhooks/verifying/": "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==",
}

// withoutMark takes a byte order mark off a text, and decodes UTF-16, which comes with one.
func withoutMark(text string) string {
	for _, mark := range []struct {
		bytes string
		order binary.ByteOrder
	}{{"\xff\xfe", binary.LittleEndian}, {"\xfe\xff", binary.BigEndian}} {
		rest, ok := strings.CutPrefix(text, mark.bytes)
		if !ok || len(rest)%2 != 0 {
			continue
		}
		var units []uint16
		for i := 0; i < len(rest); i += 2 {
			units = append(units, mark.order.Uint16([]byte(rest[i:])))
		}
		return string(utf16.Decode(units))
	}
	return strings.TrimPrefix(text, "\xef\xbb\xbf")
}

// unescapedLines are a text without the \n and \r that were written as two characters:
// at its ends, and everywhere as the line breaks that they stand for.
func unescapedLines(text string) []string {
	if !strings.Contains(text, `\n`) && !strings.Contains(text, `\r`) {
		return nil
	}
	cut := strings.TrimSpace(text)
	for _, end := range []string{`\n`, `\r`, `\n`} {
		cut = strings.TrimSuffix(cut, end)
	}
	return []string{cut, strings.NewReplacer(`\r`, "\r", `\n`, "\n").Replace(text)}
}

// assigned are the values of lines that set variables, as shells and .env, YAML and JSON
// files have them: as they are, and without their quotes.
func assigned(text string) []string {
	var values []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		for _, word := range []string{"export ", "set ", "setx ", "ENV ", "declare -x ", "$env:", "-e "} {
			line = strings.TrimSpace(strings.TrimPrefix(line, word))
		}
		at := strings.IndexAny(line, "=:")
		if at < 0 || !isEnvName(strings.Trim(strings.TrimSpace(line[:at]), `"'`)) {
			continue
		}
		value := strings.TrimRight(strings.TrimSpace(line[at+1:]), ";,")
		values = append(values, value, strings.Trim(value, "\"'`"))
	}
	return values
}

// isEnvName takes no name in lower case: base64 can begin like one.
func isEnvName(name string) bool {
	return name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// keyEncodings are the encodings of a secret, in words.
var keyEncodings = []struct{ name, words string }{
	{"raw", "the text itself is the key"},
	{"base64", "the text is base64, and the bytes in it are the key"},
	{"hex", "the text is hex, and the bytes in it are the key"},
}

// Secret lists mistakes with the secret: its text, and how a key is made of it.
func Secret(c Case) []Mistake {
	return append(SecretText(c), encodings(c)...)
}

// encodings lists every other way to make a key of the text, with its prefix and
// without.
func encodings(c Case) []Mistake {
	var list []Mistake
	texts := []struct{ text, prefix string }{{strings.TrimSpace(c.Secret), ""}}
	for _, prefix := range append(slices.Clone(prefixes), c.Provider.SecretPrefix) {
		if rest, ok := strings.CutPrefix(texts[0].text, prefix); ok && prefix != "" {
			texts = append(texts, struct{ text, prefix string }{rest, prefix})
			break
		}
	}
	current := c.Provider.SecretEncoding
	if current == "" {
		current = "raw"
	}
	for _, e := range keyEncodings {
		for _, text := range texts {
			key := text.text
			if e.name == "base64" {
				key = strings.NewReplacer("-", "+", "_", "/").Replace(key)
			}
			if e.name == current && key == c.Secret {
				continue
			}
			line := strings.TrimSpace("secret_encoding " + e.name + " " + strings.TrimSpace(text.prefix))
			list = append(list, Mistake{
				Causes: []Cause{{"secret_encoding", "The secret is in another encoding: " + e.words + ".", "Say `" + line + "`."}},
				apply: func(r *Reading) {
					r.Secret = key
					r.setProvider("secret "+e.name, func(p *config.Provider) { p.SecretEncoding, p.SecretPrefix = e.name, "" })
				},
			})
		}
	}
	// The other way round: the secret was decoded, and the sender uses its text.
	for _, encoded := range []struct{ name, text string }{
		{"base64", base64.StdEncoding.EncodeToString([]byte(c.Secret))}, {"hex", hex.EncodeToString([]byte(c.Secret))},
	} {
		list = append(list, Mistake{
			Causes: []Cause{{"secret_encoding", "The secret was decoded: the sender's key is its " + encoded.name + " text.",
				"Store the secret as the sender shows it."}},
			apply: func(r *Reading) {
				r.Secret = encoded.text
				r.setProvider("secret raw", func(p *config.Provider) { p.SecretEncoding, p.SecretPrefix = "raw", "" })
			},
		})
	}
	return list
}
