package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// provenOtherwise are the senders that sign, and have neither vectors nor a row among the
// official libraries, with the reason.
var provenOtherwise = map[string]string{
	"mandrill":                "its form is signed by hand in webhook/copies_test.go",
	"treezor":                 "its payload, as PHP writes JSON, is signed by hand in webhook/copies_entries_test.go",
	"apple-app-store-sandbox": "its tokens and certificates are made by hand in test/e2e/chains_test.go",
}

var interopRow = regexp.MustCompile(`provider: "([a-z0-9-]+)"`)

// interopRows are the providers that test/interop runs against the sender's own library.
func interopRows(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../test/interop/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rows found: %v", err)
	}
	rows := make(map[string]bool)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range interopRow.FindAllStringSubmatch(string(text), -1) {
			rows[match[1]] = true
		}
	}
	return rows
}

// proof is what a sender is held against.
type proof struct {
	vectors string // the file's text
	row     bool   // of its own library
	reason  string // why there is neither
}

// problem says what a sender's proof lacks. A token has nothing to compute: the tests over
// all entries send it.
func (p proof) problem(sender Provider) string {
	switch {
	case sender.Token != "" || sender.Unsigned():
		return ""
	case p.vectors != "" && !strings.Contains(p.vectors, " expect: valid\n"):
		return "has vectors, and none that is accepted: refusals prove nothing"
	case p.reason != "" && (p.row || p.vectors != ""):
		return "is proven: take it off the list"
	case p.vectors == "" && !p.row && p.reason == "":
		return "has no vectors in signature/testdata/vectors and no row in test/interop: add one, or the reason why there is none"
	}
	return ""
}

// Each sender that signs is held against requests that this code did not sign: vectors, or
// those of the sender's own library.
func TestEveryEntryIsProven(t *testing.T) {
	rows := interopRows(t)
	if len(rows) < 60 {
		t.Errorf("only %d rows of official libraries: have files been lost?", len(rows))
	}
	unused := maps.Clone(provenOtherwise)
	for _, name := range Builtin().Names() {
		text, err := os.ReadFile(filepath.Join(vectors, name+".yaml"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if problem := (proof{string(text), rows[name], provenOtherwise[name]}).problem(Builtin()[name]); problem != "" {
			t.Errorf("%s %s", name, problem)
		}
		delete(unused, name)
		delete(rows, name)
	}
	for name := range unused {
		t.Errorf("%s is on the list, and no entry", name)
	}
	for name := range rows {
		t.Errorf("%s has a row, and no entry", name)
	}
}

func TestProofs(t *testing.T) {
	signed, err := ParseLines("test", []byte("signature X-Sig"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := ParseLines("test", []byte("token bearer"))
	if err != nil {
		t.Fatal(err)
	}
	accepted, refused := "vectors:\n- id: a\n  expect: valid\n", "vectors:\n- id: a\n  expect: signature_invalid\n"
	for name, c := range map[string]struct {
		sender Provider
		proof
		ok bool
	}{
		"nothing":           {signed, proof{}, false},
		"vectors":           {signed, proof{vectors: accepted}, true},
		"refusals only":     {signed, proof{vectors: refused}, false},
		"a row":             {signed, proof{row: true}, true},
		"a reason":          {signed, proof{reason: "signed by hand"}, true},
		"a row, and reason": {signed, proof{row: true, reason: "signed by hand"}, false},
		"a token":           {token, proof{}, true},
		"neither":           {Provider{}, proof{}, true},
	} {
		if problem := c.problem(c.sender); (problem == "") != c.ok {
			t.Errorf("%s: %q", name, problem)
		}
	}
}
