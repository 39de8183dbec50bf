package placeholder

import (
	"errors"
	"os"
	"regexp"
	"strings"
)

// slips are forms that a whole text has where the name of a secret stands in the place
// of the secret. Each would make a key that anybody can guess. None of them is told by a
// part of the text: a genuine secret may hold any character.
var slips = []struct {
	form *regexp.Regexp
	fix  string
}{
	{regexp.MustCompile(`^\$?\{\{.*$`), "is a template that nothing has filled in ({{…}}): write {env.NAME} with single braces"},
	{regexp.MustCompile(`^\$\{[A-Za-z_][\w.]*([:?+=/-][^{}]*)?\}?$`), "is a variable of the shell (${NAME}), which Caddy does not know: write {env.NAME}"},
	{regexp.MustCompile(`^\$\([A-Za-z_][^()]*\)?$`), "is a variable or a command of the shell ($(…)), which Caddy does not know: write {env.NAME}"},
	{regexp.MustCompile(`^\$+(?i:env):\w+$`), "is a variable of PowerShell ($env:NAME): write {env.NAME}"},
	{regexp.MustCompile(`^\{[$%][^{}]*\}?$`), "is a {$NAME} that was not replaced, as Caddy does only in a Caddyfile: write {env.NAME}"},
	{regexp.MustCompile(`^\{(env|file|http|vars|system|time)\.[^{}]*\}?$`), "is a placeholder that was not replaced: write {env.NAME} or {file./absolute/path} with both braces, in the configuration itself"},
	{regexp.MustCompile(`^(?i:(process\.|import\.meta\.|deno\.)?env)[.:]+[A-Za-z_]\w*\}*$`), "is a placeholder without its braces: write {env.NAME}"},
	{regexp.MustCompile(`^(?i:(os\.)?(environ|getenv|env))[\[(]["']?[A-Za-z_]\w*["']?[\])]$`), "is a variable of a programming language: write {env.NAME}"},
	{regexp.MustCompile(`^(@|\{?file[.:]+)(/|\./|\.\./|~/|[A-Za-z]:\\).*$`), "is the name of a file: write {file./absolute/path}"},
	{regexp.MustCompile(`^/(run/secrets|etc|var/run/secrets)/[\w./-]+$`), "is the name of a file: write {file./absolute/path}"},
	{regexp.MustCompile(`^(op|vault|secret|awssm|azurekeyvault|ref\+\w+)://.*$|^arn:aws[\w-]*:(secretsmanager|ssm):.*$|^projects/[^/]+/secrets/.*$|^ENC\[.*\]$|^@Microsoft\.KeyVault\(.*\)$`),
		"is a reference into a secret manager, which Caddy does not read: let the manager set an environment variable or write a file"},
	{regexp.MustCompile(`^<[A-Za-z][\w .:'/-]*>$`), "is a text to be replaced (<…>): write the secret itself, or {env.NAME}"},
	{regexp.MustCompile(`^[A-Z][A-Z0-9]*_([A-Z0-9]+_)*(SECRET|TOKEN|KEY|PASSWORD)(_[A-Z0-9]+)*$`), "is the name of an environment variable: write {env.NAME}"},
}

// named are forms around a name. What stands there is a slip only where it reads as a
// name: a random secret mixes small letters, capitals and digits.
var named = []struct {
	form *regexp.Regexp
	fix  string
}{
	{regexp.MustCompile(`^\$+([A-Za-z_]\w*)$`), "is a variable of the shell ($NAME), which Caddy does not know: write {env.NAME}"},
	{regexp.MustCompile(`^%([A-Za-z_]\w*)%$`), "is a variable of Windows (%NAME%), which Caddy does not know: write {env.NAME}"},
	{regexp.MustCompile(`^\{([A-Za-z_]\w*)\}?$`), "is a placeholder that was not replaced: write {env.NAME} or {file./absolute/path}"},
}

// openPlaceholder is a placeholder that nothing closes, wherever it stands.
var openPlaceholder = regexp.MustCompile(`(^|[^\\])\{(env|file)\.[^{}]*$`)

// nested is a placeholder with another one in its name.
var nested = regexp.MustCompile(`(^|[^\\])\{(env|file)\.[^{}]*[^{}\\]\{[^{}]*\}`)

// unreplaced is a placeholder that nothing has replaced.
var unreplaced = regexp.MustCompile(`\{(env|file|http|vars|system|time)\.[^{}\s]+\}`)

// Unreplaced reports whether there is a placeholder in a text that should have none left.
func Unreplaced(text string) bool { return strings.Contains(text, "{") && unreplaced.MatchString(text) }

// onePlaceholder is a text that is a placeholder and nothing else.
var onePlaceholder = regexp.MustCompile(`^\{[^{}$%][^{}]*\}$`)

// Slip returns an error where a resolved secret is surely none, which says what to write
// in its place. It never holds the text.
func Slip(text string) error {
	core := strings.Trim(text, " \t\r\n\"'`")
	for _, slip := range slips {
		if slip.form.MatchString(core) {
			return errors.New("it " + slip.fix)
		}
	}
	for _, slip := range named {
		if match := slip.form.FindStringSubmatch(core); match != nil && readsAsName(match[1]) {
			return errors.New("it " + slip.fix)
		}
	}
	if variable.MatchString(core) && os.Getenv(core) != "" {
		return errors.New("it is the name of an environment variable: write {env.NAME}")
	}
	return nil
}

var variable = regexp.MustCompile(`^[A-Z][A-Z0-9_]{3,}$`)

func readsAsName(name string) bool {
	small := strings.ToUpper(name) != name
	capital := strings.ToLower(name) != name
	digit := strings.ContainsAny(name, "0123456789")
	return !small || !capital || !digit
}

// ConfiguredSlip is [Slip] for a text as it is configured, whose placeholders are not
// resolved.
func ConfiguredSlip(text string) error {
	if nested.MatchString(text) {
		return errors.New("it holds a placeholder within a placeholder, which Caddy does not resolve: write {file./absolute/path} in full, and for tenants in the outputs of a map")
	}
	if openPlaceholder.MatchString(text) {
		return errors.New("it holds an open { that nothing closes: write {env.NAME} or {file./absolute/path}; a literal { is written \\{")
	}
	if onePlaceholder.MatchString(strings.TrimSpace(text)) {
		return nil
	}
	return Slip(text)
}
