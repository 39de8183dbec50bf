// Package formats keeps what released versions have written, and hands it to a test: each in a
// folder of its version below testdata/formats. docs/releases.md says how a release adds its
// own.
package formats

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

var name = flag.String("write-format", "", "add what this version writes to testdata/formats, under this name")

// Each adds what this version writes, where that is asked for, and then has every version's
// checked.
func Each(t *testing.T, write func(to string), check func(t *testing.T, from string)) {
	t.Helper()
	if *name != "" {
		to := filepath.Join("testdata", "formats", *name)
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		write(to)
	}
	versions, err := filepath.Glob(filepath.Join("testdata", "formats", "*"))
	if err != nil || len(versions) == 0 {
		t.Fatalf("nothing in testdata/formats: %v", err)
	}
	for _, from := range versions {
		t.Run(filepath.Base(from), func(t *testing.T) {
			t.Parallel()
			check(t, from)
		})
	}
}

// Documented fails the test unless docs/stability.md names the format of a database, which the
// database itself has in a bucket, as that of what is stored there.
func Documented(t *testing.T, database, bucket, what string) {
	t.Helper()
	db, err := bolt.Open(database, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var format string
	err = db.View(func(tx *bolt.Tx) error {
		format = string(tx.Bucket([]byte(bucket)).Get([]byte("format")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/stability.md")
	if err != nil {
		t.Fatal(err)
	}
	if row := "| " + what + " | format " + format + ":"; format == "" || !strings.Contains(string(page), row) {
		t.Errorf("docs/stability.md has no row that begins with %q", row)
	}
}
