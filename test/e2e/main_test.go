// Package e2e drives the built gateway from outside: real processes, real
// connections, a real Redis, and an app behind that counts what reaches it.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func TestMain(m *testing.M) {
	flag.Parse()
	byUser := make(map[string]bool)
	flag.Visit(func(f *flag.Flag) { byUser[f.Name] = true })
	if !byUser["test.parallel"] {
		// Much of the time these tests wait: for leases, time-outs and slow apps. More at once
		// leave two processors no time, so that stores and apps are late by themselves.
		_ = flag.Set("test.parallel", "5")
	}
	if flag.Lookup("test.list").Value.String() == "" {
		if err := testbed.BuildCaddy(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}
