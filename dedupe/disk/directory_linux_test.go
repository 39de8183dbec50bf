package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
)

// A file that is none is not opened: to open a pipe or a device can hang, or do something.
func TestDiskRefusesPipesAndDevices(t *testing.T) {
	t.Parallel()
	from, c := t.TempDir(), testkit.NewClock()
	testkit.Commit(t, openDisk(t, from, c), testkit.Pair(1))
	for _, name := range []string{"events.db", "journal-a", "journal-b"} {
		for what, make := range map[string]func(path string) error{
			"pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
			"device": func(path string) error { return syscall.Mknod(path, syscall.S_IFCHR|0o600, 1<<8|5) },
			"socket": func(path string) error { return syscall.Mknod(path, syscall.S_IFSOCK|0o600, 0) },
			"other user's": func(path string) error {
				return errors.Join(copyFile(filepath.Join(from, name), path), os.Chown(path, 65534, -1))
			},
		} {
			dir := image(t, from)
			path := filepath.Join(dir, name)
			err := errors.Join(os.Remove(path), make(path))
			if errors.Is(err, os.ErrPermission) {
				continue // only root may
			}
			if err != nil {
				t.Fatal(err)
			}
			d, err := disk.Open(disk.Options{Dir: dir, Now: c.Now})
			if err == nil {
				t.Errorf("%s is a %s, and it opens", name, what)
				closeDisk(t, d)
			}
			testkit.WantWords(t, err, path, "store disk <dir>")
		}
	}
	dir := image(t, from)
	if err := os.Chown(dir, 65534, -1); err == nil {
		_, err := disk.Open(disk.Options{Dir: dir, Now: c.Now})
		testkit.WantWords(t, err, dir, "65534", "chown")
	}
}
