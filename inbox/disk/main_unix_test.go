//go:build unix

package disk_test

import (
	"os"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) {
	syscall.Umask(0o022) // directories that the group may write to are refused
	os.Exit(m.Run())
}
