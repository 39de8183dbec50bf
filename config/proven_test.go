package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// provenOtherwise are the senders that sign, and have neither vectors nor a row among the
// official libraries, with the reason.
var provenOtherwise = map[string]string{
	"fal":            "its headers are signed by hand in test/e2e/keys_test.go",
	"fusionauth":     "its token is made by hand in test/e2e/keys_test.go",
	"google-pubsub":  "its token is made by hand in test/e2e/keys_test.go",
	"kinde":          "its token is made by hand in test/e2e/keys_test.go",
	"mandrill":       "its form is signed by hand in webhook/copies_test.go",
	"shipengine":     "its headers are signed by hand in test/e2e/keys_test.go",
	"shipstation-v2": "its headers are signed by hand in test/e2e/keys_test.go",
	"treezor":        "its payload, as PHP writes JSON, is signed by hand in webhook/copies_entries_test.go",
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

// Each sender that signs is held against requests that this code did not sign: vectors, or
// those of the sender's own library.
func TestEveryEntryIsProven(t *testing.T) {
	rows := interopRows(t)
	if len(rows) < 40 {
		t.Errorf("only %d rows of official libraries: have files been lost?", len(rows))
	}
	unused := maps.Clone(provenOtherwise)
	for _, name := range Builtin().Names() {
		if p := Builtin()[name]; p.Token != "" || p.Unsigned() {
			continue // nothing to compute
		}
		_, err := os.Stat(filepath.Join(vectors, name+".yaml"))
		switch {
		case err == nil, rows[name]:
		case !errors.Is(err, fs.ErrNotExist):
			t.Error(err)
		case provenOtherwise[name] == "":
			t.Errorf("%s has no vectors in signature/testdata/vectors and no row in test/interop: add one, or the reason why there is none", name)
		default:
			delete(unused, name)
		}
	}
	for name := range unused {
		t.Errorf("%s is proven: take it off the list", name)
	}
}
