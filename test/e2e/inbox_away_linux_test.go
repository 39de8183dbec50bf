package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A bound on the size of a process's files is a full disk to it: writes fail, wholly or in
// part. It needs no power over the machine.
func init() {
	storesAway["disk full, nothing can be written"] = func(t *testing.T) absence {
		return fullDisk(t, func(string) uint64 { return 1 })
	}
	storesAway["disk full, files cannot grow"] = func(t *testing.T) absence {
		return fullDisk(t, func(dir string) uint64 { return writtenOfLargest(t, dir, ".segment") })
	}
}

func fullDisk(t *testing.T, size func(dir string) uint64) absence {
	dir := t.TempDir()
	limit := func(g *testbed.Gateway, size uint64) {
		must(t, unix.Prlimit(g.Pid(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil))
	}
	return absence{
		store: "disk " + dir, full: true,
		begin: func(g *testbed.Gateway) { limit(g, size(dir)) },
		end:   func(g *testbed.Gateway) { limit(g, unix.RLIM_INFINITY) },
	}
}

// writtenOfLargest is how much has been written of the largest file with an extension in a
// directory. What was made ready behind that for later is zeros.
func writtenOfLargest(t *testing.T, dir, ext string) (largest uint64) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ext {
			return err
		}
		data, err := os.ReadFile(path)
		largest = max(largest, uint64(len(bytes.TrimRight(data, "\x00"))))
		return err
	}))
	return largest
}
