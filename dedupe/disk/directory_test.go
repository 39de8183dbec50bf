package disk_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

var (
	remove   = os.RemoveAll
	empty    = func(path string) error { return os.Truncate(path, 0) }
	linkAway = func(path string) error {
		return errors.Join(os.Rename(path, path+".elsewhere"), os.Symlink(path+".elsewhere", path))
	}
	dangling = func(path string) error { return errors.Join(os.Remove(path), os.Symlink("nowhere", path)) }
	folder   = func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }
)

func mode(mode os.FileMode) func(string) error {
	return func(path string) error { return os.Chmod(path, mode) }
}

// swap exchanges two files of a directory.
func swap(dir, a, b string) error {
	a, b = filepath.Join(dir, a), filepath.Join(dir, b)
	return errors.Join(os.Rename(a, a+".tmp"), os.Rename(b, a), os.Rename(a+".tmp", b))
}

// A directory that is neither new nor whole is refused, and the error names the file.
func TestDiskRefusesWhatIsNeitherNewNorWhole(t *testing.T) {
	t.Parallel()
	base, c := t.TempDir(), testkit.NewClock()
	running, ended, other := filepath.Join(base, "running"), filepath.Join(base, "ended"), filepath.Join(base, "other")
	for _, dir := range []string{running, ended, other} {
		d := openDisk(t, dir, c)
		testkit.Commit(t, d, testkit.Pair(1))
		if dir == ended {
			closeDisk(t, d)
		}
	}
	for state, from := range map[string]string{"after a crash": running, "after a clean end": ended} {
		for _, name := range []string{"events.db", "journal-a", "journal-b"} {
			for what, damage := range map[string]func(path string) error{
				"gone": remove, "empty": empty, "a link": linkAway, "a link to nothing": dangling, "a directory": folder,
				"for everybody": mode(0o666), "for the group": mode(0o660),
				"another store's": func(path string) error {
					return errors.Join(os.Remove(path), copyFile(filepath.Join(other, name), path))
				},
				"zeros": func(path string) error {
					info, err := os.Stat(path)
					return errors.Join(err, os.WriteFile(path, make([]byte, info.Size()), 0o600))
				},
			} {
				t.Run(fmt.Sprintf("%s/%s is %s", state, name, what), func(t *testing.T) {
					t.Parallel()
					dir := image(t, from)
					path := filepath.Join(dir, name)
					if err := damage(path); err != nil {
						t.Fatal(err)
					}
					if from == ended && what == "gone" && name != "events.db" {
						// The database has everything.
						testkit.WantState(t, openDisk(t, dir, c), testkit.Pair(1).ID, dedupe.Done)
						return
					}
					d, err := disk.Open(disk.Options{Dir: dir, Now: c.Now})
					if err == nil {
						closeDisk(t, d)
					}
					said := path
					if name == "events.db" && what == "another store's" {
						said = dir // it cannot tell which one is wrong
					}
					testkit.WantWords(t, err, said, "store disk <dir>", "store redis <url>")
				})
			}
		}
	}
	for name, change := range map[string]func(dir string) error{
		"both journals are gone": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "journal-a")), os.Remove(filepath.Join(dir, "journal-b")))
		},
		"the database and a journal swapped": func(dir string) error { return swap(dir, "events.db", "journal-a") },
		"the database and a journal gone": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "events.db")), os.Remove(filepath.Join(dir, "journal-a")))
		},
		"the group may write":     mode(0o770),
		"everybody may write":     mode(0o707),
		"a temporary directory's": mode(os.ModeSticky | 0o777),
		"the directory is a link": linkAway,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := image(t, running)
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
			d, err := disk.Open(disk.Options{Dir: dir, Now: c.Now})
			if err == nil {
				closeDisk(t, d)
			}
			testkit.WantWords(t, err, dir, "store disk")
		})
	}
	t.Run("the journals swapped", func(t *testing.T) { // their numbers tell which comes first
		t.Parallel()
		dir := image(t, running)
		if err := swap(dir, "journal-a", "journal-b"); err != nil {
			t.Fatal(err)
		}
		testkit.WantState(t, openDisk(t, dir, c), testkit.Pair(1).ID, dedupe.Done)
	})
	t.Run("under a link", func(t *testing.T) {
		t.Parallel()
		base := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(base, "run"), 0o700), os.Symlink("run", filepath.Join(base, "var"))); err != nil {
			t.Fatal(err)
		}
		testkit.Commit(t, openDisk(t, filepath.Join(base, "var", "guard"), c), testkit.Pair(1))
	})
}

// A database that was cut off anywhere is refused, or has everything: its end may be room
// that was never used.
func TestDiskRefusesADatabaseThatWasCutOff(t *testing.T) {
	t.Parallel()
	from, c := t.TempDir(), testkit.NewClock()
	d := openDisk(t, from, c)
	for n := range 200 {
		testkit.Commit(t, d, testkit.Numbered(n))
	}
	closeDisk(t, d)
	whole, err := os.ReadFile(filepath.Join(from, "events.db"))
	if err != nil {
		t.Fatal(err)
	}
	dir, opened := image(t, from), 0
	for length := 0; length < len(whole); length += 2039 {
		edit(t, filepath.Join(dir, "events.db"), func([]byte) []byte { return whole[:length] })
		d, err := disk.Open(disk.Options{Dir: dir, Now: c.Now})
		if err != nil {
			testkit.WantWords(t, err, filepath.Join(dir, "events.db"), "put a copy of the whole directory back")
			continue
		}
		opened++
		for n := range 200 {
			testkit.WantState(t, d, testkit.Numbered(n).ID, dedupe.Done)
		}
		closeDisk(t, d)
		dir = image(t, from)
	}
	t.Logf("opened at %d lengths of %d", opened, len(whole)/2039)
}

// A store that was being made when the process ended is new.
func TestDiskIsMadeAfterACrashInBetween(t *testing.T) {
	t.Parallel()
	from, c := t.TempDir(), testkit.NewClock()
	closeDisk(t, openDisk(t, from, c))
	for name, crash := range map[string]func(dir string) error{
		"before the journals": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "journal-a")), os.Remove(filepath.Join(dir, "journal-b")))
		},
		"before the second":  func(dir string) error { return os.Remove(filepath.Join(dir, "journal-b")) },
		"after the journals": func(string) error { return nil },
		"in a journal": func(dir string) error {
			return os.Rename(filepath.Join(dir, "journal-b"), filepath.Join(dir, "journal-b.new"))
		},
		"a name not yet given": func(dir string) error { return os.WriteFile(filepath.Join(dir, "events.db.new-1"), nil, 0o600) },
	} {
		dir := image(t, from)
		if err := errors.Join(crash(dir), disk.Unbegin(filepath.Join(dir, "events.db"))); err != nil {
			t.Fatal(err)
		}
		d := openDisk(t, dir, c)
		testkit.Commit(t, d, testkit.Pair(1))
		if _, err := os.Lstat(filepath.Join(dir, "journal-b.new")); err == nil {
			t.Errorf("%s: a part is left", name)
		}
	}
}

// What is removed or replaced under a running store is noticed: it lets nothing through,
// and remembers nothing, until the original is back.
func TestDiskNoticesWhatIsTakenAway(t *testing.T) {
	t.Parallel()
	for _, name := range []string{".", "events.db", "journal-a", "journal-b"} {
		for what, put := range map[string]func(path string) error{
			"gone": func(string) error { return nil },
			"replaced": func(path string) error {
				if name == "." {
					return os.Mkdir(path, 0o700)
				}
				return copyFile(path+".away", path)
			},
			"a link": func(path string) error { return os.Symlink(path+".away", path) },
		} {
			t.Run(fmt.Sprintf("%s is %s", name, what), func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "store")
				d, err := disk.Open(disk.Options{Dir: dir})
				if err != nil {
					t.Fatal(err)
				}
				testkit.Commit(t, d, testkit.Pair(1))
				path := filepath.Join(dir, name)
				if err := errors.Join(os.Rename(path, path+".away"), put(path)); err != nil {
					t.Fatal(err)
				}
				claim := func() error {
					_, err := d.Claim(t.Context(), testkit.Pair(2), dedupe.NewToken(), time.Nanosecond)
					return err
				}
				testbed.Eventually(t, testkit.Patient, func() bool { return claim() != nil }, "the loss to be noticed")
				testkit.WantWords(t, claim(), path, "under the running gateway", "move the original back", "restart")
				testkit.WantWords(t, d.Commit(t.Context(), testkit.Pair(3), dedupe.Success{Status: 200}, testkit.TTL), path)
				if err := errors.Join(os.RemoveAll(path), os.Rename(path+".away", path)); err != nil {
					t.Fatal(err)
				}
				testbed.Eventually(t, testkit.Patient, func() bool { return claim() == nil }, "the store to be back by itself")
				for n := byte(1); n <= 3; n += 2 {
					testkit.WantState(t, d, testkit.Pair(n).ID, dedupe.Done)
				}
				closeDisk(t, d)
			})
		}
	}
}

// Nor are files that shrink under a running store written to.
func TestDiskNoticesWhatIsCutOff(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"events.db", "journal-a", "journal-b"} {
		dir := t.TempDir()
		d, err := disk.Open(disk.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		testkit.Commit(t, d, testkit.Pair(1))
		if err := os.Truncate(filepath.Join(dir, name), 4096); err != nil {
			t.Fatal(err)
		}
		var refused error
		testbed.Eventually(t, testkit.Patient, func() bool {
			_, refused = d.Claim(t.Context(), testkit.Pair(2), dedupe.NewToken(), time.Nanosecond)
			return refused != nil
		}, "the loss to be noticed")
		if !strings.Contains(refused.Error(), filepath.Join(dir, name)) {
			t.Errorf("%v does not name %s", refused, name)
		}
		_ = d.Close()
		_, err = disk.Open(disk.Options{Dir: dir})
		if name == "events.db" || err == nil || !strings.Contains(err.Error(), name) {
			t.Logf("%s, opened again: %v", name, err)
		}
	}
}
