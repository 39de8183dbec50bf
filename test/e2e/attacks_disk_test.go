//go:build unix

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Somebody with an account on the machine prepares what the store is to open: it opens
// nothing that others could change, follows no link, and writes to nothing behind one.
func TestAttackStoreDirectory(t *testing.T) {
	t.Parallel()
	const precious = "another user's file"
	for what, c := range map[string]struct {
		prepare func(t *testing.T, dir, target string) // target is a file elsewhere
		says    string
	}{
		"the directory is a link": {func(t *testing.T, dir, target string) {
			real := filepath.Join(filepath.Dir(target), "real")
			must(t, os.Mkdir(real, 0o700))
			must(t, os.Symlink(real, dir))
		}, "symbolic link"},
		"the directory is a link to nothing": {func(t *testing.T, dir, target string) {
			must(t, os.Symlink(filepath.Join(filepath.Dir(target), "later"), dir))
		}, "leads nowhere"},
		"everybody may write":          {func(t *testing.T, dir, _ string) { mkdir(t, dir, 0o777) }, "chmod 700"},
		"everybody may write, sticky":  {func(t *testing.T, dir, _ string) { mkdir(t, dir, 0o777|os.ModeSticky) }, "chmod 700"},
		"the group may write":          {func(t *testing.T, dir, _ string) { mkdir(t, dir, 0o770) }, "chmod 700"},
		"a file that all may write to": {func(t *testing.T, dir, _ string) { copyStore(t, dir, "events.db", 0o666) }, "chmod 600"},
		"a log that the group writes":  {func(t *testing.T, dir, _ string) { copyStore(t, dir, "journal-a", 0o660) }, "chmod 600"},
		"a database that is a link": {func(t *testing.T, dir, target string) {
			mkdir(t, dir, 0o700)
			must(t, os.Symlink(target, filepath.Join(dir, "events.db")))
		}, "symbolic link"},
		"a database that is a link to nothing": {func(t *testing.T, dir, target string) {
			mkdir(t, dir, 0o700)
			must(t, os.Symlink(target+".new", filepath.Join(dir, "events.db")))
		}, "symbolic link"},
		"a log that is a link": {func(t *testing.T, dir, target string) {
			copyStore(t, dir, "", 0)
			must(t, os.Remove(filepath.Join(dir, "journal-b")))
			must(t, os.Symlink(target, filepath.Join(dir, "journal-b")))
		}, "symbolic link"},
		"a log that is a pipe": {func(t *testing.T, dir, _ string) {
			copyStore(t, dir, "", 0)
			must(t, os.Remove(filepath.Join(dir, "journal-a")))
			must(t, syscall.Mkfifo(filepath.Join(dir, "journal-a"), 0o600))
		}, "not a plain file"},
		"a database that is a directory": {func(t *testing.T, dir, _ string) {
			mkdir(t, dir, 0o700)
			mkdir(t, filepath.Join(dir, "events.db"), 0o700)
		}, "not a plain file"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			dir, target := filepath.Join(home, "store"), filepath.Join(home, "elsewhere", "precious")
			mkdir(t, filepath.Dir(target), 0o700)
			must(t, os.WriteFile(target, []byte(precious), 0o600))
			c.prepare(t, dir, target)
			if said := runOnDisk(t, "disk "+dir); !containsAll(said, dir, c.says) {
				t.Errorf("want %q in\n%s", c.says, said)
			}
			if text, err := os.ReadFile(target); err != nil || string(text) != precious {
				t.Errorf("the file behind the link has become %q, %v", text, err)
			}
			made, err := os.ReadDir(filepath.Dir(target))
			for _, file := range made {
				if file.Name() != "precious" && file.Name() != "real" || err != nil {
					t.Errorf("%s was made behind the link", file.Name())
				}
			}
		})
	}
}

// mkdir makes a directory with this mode, whatever the umask is.
func mkdir(t *testing.T, dir string, mode os.FileMode) {
	t.Helper()
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chmod(dir, mode))
}

// copyStore makes the directory of a store that has been used, with one file's mode.
func copyStore(t *testing.T, dir, file string, mode os.FileMode) {
	t.Helper()
	g := setup{store: "disk " + dir, app: testbed.StartApp(t, nil)}.start(t)
	want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), testbed.Event{})), http.StatusOK, "forwarded")
	must(t, g.Stop())
	if file != "" {
		must(t, os.Chmod(filepath.Join(dir, file), mode))
	}
}

// What is put in the place of a running store's directory is not written to, and no event
// is taken for new on the word of it.
func TestAttackStoreReplacedWhileItRuns(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir, other := filepath.Join(home, "store"), filepath.Join(home, "other")
	app := testbed.StartApp(t, nil)
	g := setup{store: "disk " + dir, app: app}.start(t)
	s, e := testbed.DocRouter(), testbed.Event{}.Fill()
	want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), http.StatusOK, "forwarded")
	mkdir(t, other, 0o777)
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.Symlink(other, dir))
	testbed.Eventually(t, soon, func() bool {
		return testbed.Do(t, s.Request(t, g.URL(""), testbed.Event{})).Guard == "store_unavailable"
	}, "the store notices that its directory was replaced")
	calls := app.Count()
	if got := testbed.Do(t, s.Request(t, g.URL(""), e)); got.Guard == "forwarded" {
		t.Errorf("the finished event was %s", got)
	}
	wantCalls(t, app, calls)
	if made, err := os.ReadDir(other); err != nil || len(made) > 0 {
		t.Errorf("%d files were made behind the link, %v", len(made), err)
	}
	must(t, os.Remove(dir))
	must(t, os.Rename(dir+".old", dir))
	testbed.Eventually(t, soon, func() bool {
		return testbed.Do(t, s.Request(t, g.URL(""), e)).Guard == "duplicate"
	}, "the store goes on with the original")
}
