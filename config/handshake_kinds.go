package config

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

//go:embed handshakes/*.caddyfile
var handshakeFiles embed.FS

// HandshakeKind is a kind of handshake, as its file in handshakes/ describes it. Most
// kinds are named after their sender.
type HandshakeKind struct {
	// Comment is the comment of the file: where the sender documents its check, and
	// the reasons for its lines.
	Comment string

	Checks []Check

	// Sources names the sources that the handshake line states. The checks refer to
	// them by sources of the kind [SourceGiven].
	Sources []string

	// Argument describes the line's last word; "" where the kind takes none.
	Argument string

	// Payload is the form field that the sender signs, where it does not sign the
	// body. Kinds that sign what anybody sends need it.
	Payload signature.Source
}

// SourceGiven is the kind of a source that the handshake line states.
const SourceGiven signature.Kind = "given"

// ConfirmSNS is the kind of confirmation that Amazon SNS asks for: a call of its API.
const ConfirmSNS = "aws_sns"

// Bound limits what is echoed or signed.
type Bound struct {
	Name string
	text *regexp.Regexp
}

// Allows reports whether a challenge may be echoed or signed.
func (b Bound) Allows(challenge string) bool { return b.text != nil && b.text.MatchString(challenge) }

// bounds has the bounds that a check may name. A check has the bound harmless where
// the sender's challenges allow it: no text of its characters is a JSON object or a
// form, so none is an event. The bound sentence allows spaces, colons and base64, but
// nothing that HTML or JSON is made of.
var bounds = boundsOf(map[string]string{
	"harmless":  `^[A-Za-z0-9_-]{1,128}$`,
	"number":    `^[0-9]{1,20}$`,
	"sentence":  `^[A-Za-z0-9_ :.+/=~-]{1,256}$`,
	"short_hex": `^[a-f0-9]{20,32}$`,
})

func boundsOf(expressions map[string]string) map[string]Bound {
	named := make(map[string]Bound)
	for name, expression := range expressions {
		named[name] = Bound{name, regexp.MustCompile(expression)}
	}
	return named
}

// Handshakes returns the kinds by name. The catalogue's entries name their kind
// without the argument, which only a user knows. There is none for notion: its check
// contains the secret, which the guard must not write anywhere. Handshakes panics if
// a file does not parse; the tests parse every one.
var Handshakes = sync.OnceValue(func() map[string]HandshakeKind {
	return must(loadHandshakes(handshakeFiles, "handshakes"))
})

func loadHandshakes(files fs.FS, dir string) (map[string]HandshakeKind, error) {
	return parseFiles("handshakes", files, dir, parseKind)
}

// kindLines are the lines of a kind's file, beside the blocks `check <method>… { … }`.
var kindLines = tableOf([]line[HandshakeKind]{
	{syntax: "sources <name>…", parse: func(k *HandshakeKind, args []string) error {
		k.Sources = args
		return nil
	}},
	{syntax: "argument <what it is>", parse: text(func(k *HandshakeKind) *string { return &k.Argument })},
	{syntax: "payload form <field>", parse: func(k *HandshakeKind, args []string) error {
		return wholeSource(args, &k.Payload)
	}},
})

// checkLines are the lines of a check. The lines proof and reply are required.
var checkLines = tableOf([]line[Check]{
	{syntax: "when <source> [absent | empty_list | is <value>] | no_body", parse: parseWhen, repeatable: true},
	{syntax: "proof signature | token <source> | none", parse: parseProof},
	{syntax: "challenge <source> <bound> [secret]", parse: parseChallenge},
	{syntax: "mac <algorithm> <encoding>", parse: func(c *Check, args []string) error {
		if len(args) != 2 {
			return usage("takes two words")
		}
		c.MAC = &MAC{Algorithm: args[0], Encoding: args[1]}
		return nil
	}},
	{syntax: "confirm aws_sns", parse: func(c *Check, args []string) error {
		if len(args) != 1 || args[0] != ConfirmSNS {
			return usage("unknown kind")
		}
		c.Confirm = args[0]
		return nil
	}},
	{syntax: "warning <text>", parse: text(func(c *Check) *string { return &c.Warning })},
	{syntax: "digest <text>", parse: text(func(c *Check) *string { return &c.Digest })},
	{syntax: "reply <status> [text|json [<body>] | header <name> <value>…]", parse: parseReply},
})

func parseKind(file string, text []byte) (HandshakeKind, error) {
	var kind HandshakeKind
	kind.Comment, _ = SplitEntry(string(text))
	err := readLines(file, text, func(d *caddyfile.Dispenser) error {
		if d.Val() != "check" {
			return kindLines.parse(d, &kind)
		}
		check, err := parseCheck(d)
		kind.Checks = append(kind.Checks, check)
		return err
	}, "check")
	if err != nil {
		return HandshakeKind{}, err
	}
	if err := kind.check(); err != nil {
		return HandshakeKind{}, fmt.Errorf("%s: %w", file, err)
	}
	return kind, nil
}

// check finds mistakes that no line shows alone.
func (k HandshakeKind) check() error {
	if len(k.Checks) == 0 {
		return errors.New("a kind needs a check")
	}
	for _, c := range k.Checks {
		for _, source := range c.sources() {
			if source.Kind == SourceGiven && !slices.Contains(k.Sources, source.Name) {
				return fmt.Errorf("no sources line names %q", source.Name)
			}
		}
	}
	return nil
}

func parseCheck(d *caddyfile.Dispenser) (Check, error) {
	check := Check{Methods: d.RemainingArgs()}
	if len(check.Methods) == 0 {
		return check, d.Errf("check: needs a value: check <method>… { … }")
	}
	seen := make(Once)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := seen.Check(d, "when"); err != nil {
			return check, err
		}
		if err := checkLines.parse(d, &check); err != nil {
			return check, unknownLine(d, err)
		}
	}
	for _, needed := range []string{"proof", "reply"} {
		if !seen[needed] {
			return check, d.Errf("check: needs the line %s", checkLines[needed].syntax)
		}
	}
	return check, nil
}
