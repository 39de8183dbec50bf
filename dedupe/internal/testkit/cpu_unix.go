//go:build unix

package testkit

import (
	"syscall"
	"testing"
	"time"
)

// CPU returns the processor time that this process has used.
func CPU(tb testing.TB) time.Duration {
	tb.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
