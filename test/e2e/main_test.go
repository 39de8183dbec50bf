// Package e2e drives the built gateway from outside: real processes, real
// connections, a real Redis, and an app behind that counts what reaches it.
package e2e

import (
	"flag"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	flag.Parse()
	byUser := make(map[string]bool)
	flag.Visit(func(f *flag.Flag) { byUser[f.Name] = true })
	if !byUser["test.parallel"] {
		// Most of the time these tests wait: for leases, time-outs and slow apps.
		_ = flag.Set("test.parallel", "8")
	}
	os.Exit(m.Run())
}
