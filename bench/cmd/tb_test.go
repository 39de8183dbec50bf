//go:build linux

package main

import (
	"os"
	"slices"
	"testing"
)

// A scope's clean-up runs however the scope ends, in reverse order.
func TestScope(t *testing.T) {
	t.Parallel()
	var done []string
	var dir string
	err := inScope(func(tb testing.TB) {
		dir = tb.TempDir()
		tb.Cleanup(func() { done = append(done, "first") })
		tb.Cleanup(func() { done = append(done, "second") })
		tb.Fatalf("no %s", "luck")
		done = append(done, "never")
	})
	if err == nil || err.Error() != "no luck" || !slices.Equal(done, []string{"second", "first"}) {
		t.Fatalf("ended with %v; cleaned up %v", err, done)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Fatalf("the temporary directory is still there: %v", err)
	}
	if err := inScope(func(testing.TB) {}); err != nil {
		t.Fatal(err)
	}
}
