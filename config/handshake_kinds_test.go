package config

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestABrokenKindSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	const whole = "check GET {\nproof none\nreply 200\n}\n"
	for text, want := range map[string]string{
		"argument a":                                          "needs a check",
		"colour blue\n" + whole:                               `unknown line "colour"`,
		"check {\nproof none\nreply 200\n}":                   "check <method>",
		"check GET {\nreply 200\n}":                           "needs the line proof signature",
		"check GET {\nproof none\n}":                          "needs the line reply <status>",
		"check GET {\nproof none\nproof none\n}":              "proof is set twice",
		"check GET {\ncolour blue\n}":                         `unknown line "colour"`,
		"check GET {\nproof nobody\n}":                        "proof: not understood: write proof signature",
		"check GET {\nproof token query a b\n}":               "too many words",
		"check GET {\nproof token cookie a\n}":                "unknown source",
		"check GET {\nwhen query a is\n}":                     "when: not understood",
		"check GET {\nwhen query a empty_list\n}":             "when: not understood",
		"check GET {\nwhen cookie a\n}":                       "unknown source",
		"check GET {\nchallenge query a\n}":                   "challenge: not understood",
		"check GET {\nchallenge query a any\n}":               "unknown bound",
		"check GET {\nmac sha256\n}":                          "takes two words",
		"check GET {\nreply 500\n}":                           "says success",
		"check GET {\nreply 200 html <b>\n}":                  "reply: not understood",
		"check GET {\nreply 200 text a b\n}":                  "too many words",
		"check GET {\nwhen given a\nproof none\nreply 200\n}": `no sources line names "a"`,
		"argument a b\n" + whole:                              "takes one value",
		"argument a\nargument b\n" + whole:                    "argument is set twice",
		"payload form a b\n" + whole:                          "too many words",
	} {
		files := fstest.MapFS{"handshakes/acme.caddyfile": {Data: []byte(text)}}
		_, err := loadHandshakes(files, "handshakes")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "handshakes/acme.caddyfile") {
			t.Errorf("%q: error = %v, want one that names the file and holds %q", text, err, want)
		}
	}
	if _, err := loadHandshakes(fstest.MapFS{}, "handshakes"); err == nil {
		t.Error("missing files load")
	}
}

// A provider of one's own says itself where the challenge and the token are.
func TestKindsWithSources(t *testing.T) {
	t.Parallel()
	h, err := ParseHandshake(strings.Fields("verify query token header x-challenge hush"))
	if err != nil {
		t.Fatal(err)
	}
	check := h.Checks[0]
	if check.Proof != ProofToken || check.Token.String() != "query token" || check.Challenge.String() != "header X-Challenge" || h.Argument != "hush" {
		t.Errorf("verify is %+v", h)
	}
	if again := Handshakes()["verify"].Checks[0]; again.Token.Kind != SourceGiven || again.When[0].Source.Kind != SourceGiven {
		t.Errorf("a line has changed the kind: %+v", again)
	}
	for _, words := range []string{
		"echo", "echo query", "echo cookie a", "echo body challenge", "echo form a", "echo signature", "echo query a hush",
		"verify", "verify hush", "verify query a", "verify query a query b", "verify query a hush", "verify query a query b hush two",
	} {
		_, err := ParseHandshake(strings.Fields(words))
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: error = %v, want one without the words of the line", words, err)
		}
	}
}

// The example in CONTRIBUTING.md parses, and its table shows every line of a check.
func TestContributingHandshake(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Adding a kind of handshake is one file\n")
	_, example, _ := strings.Cut(section, "```\n")
	example, table, ok := strings.Cut(example, "```\n")
	if !ok {
		t.Fatal("CONTRIBUTING.md has no example of a handshake")
	}
	kind, err := parseKind("example", []byte(example))
	if err != nil || kind.Argument == "" || kind.Checks[0].Proof != ProofToken {
		t.Errorf("the example is %+v: %v", kind, err)
	}
	for name := range checkLines {
		if !strings.Contains(table, "`"+name+" ") {
			t.Errorf("CONTRIBUTING.md does not show the line %s", name)
		}
	}
	for name := range kindLines {
		if !strings.Contains(table, "`"+name) {
			t.Errorf("CONTRIBUTING.md does not show the line %s", name)
		}
	}
}
