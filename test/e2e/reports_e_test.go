package e2e

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// How a directory of the disk store is lost, as strangers reported it: after a crash,
// something of it is missing, or not what it was.
func TestReportedDiskThatLostEventsIsRefused(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	conf := setup{store: "disk " + filepath.Join(t.TempDir(), "store"), app: app}
	dir := conf.store[len("disk "):]
	g := conf.start(t)
	e := testbed.Event{}.Fill()
	want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)), 200, "forwarded")
	g.Kill()

	cut := func(path string) error { return os.Truncate(path, 0) }
	for _, c := range []struct {
		name   string
		damage func(path string) error
	}{{"events.db", cut}, {"events.db", os.Remove}, {"journal-a", cut}, {"journal-a", os.Remove}, {"journal-b", os.Remove}} {
		crashed := filepath.Join(t.TempDir(), "crashed")
		if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(crashed, c.name)
		if err := c.damage(path); err != nil {
			t.Fatal(err)
		}
		if said := runOnDisk(t, "disk "+crashed); !containsAll(said, path, "put a copy of the whole directory back", "store disk <dir>") {
			t.Errorf("%s: the error does not name the file and the fix:\n%s", c.name, said)
		}
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := errors.Join(os.CopyFS(open, os.DirFS(dir)), os.Chmod(open, 0o777)); err != nil {
		t.Fatal(err)
	}
	if said := runOnDisk(t, "disk "+open); !containsAll(said, open, "can be written by others", "chmod 700") {
		t.Errorf("a directory that everybody may write to is taken:\n%s", said)
	}

	g.Start()
	want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)), 200, "duplicate")
	wantCalls(t, app, 1)
}

// A directory that is removed under a running gateway is noticed, and new events get what
// on_store_error says, until it is back.
func TestReportedDiskThatIsRemovedIsNoticed(t *testing.T) {
	t.Parallel()
	for policy, result := range map[string]string{"reject": "store_unavailable", "forward": "forwarded"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			app := testbed.StartApp(t, nil)
			dir := filepath.Join(t.TempDir(), "store")
			g := setup{store: "disk " + dir, app: app, lines: "on_store_error " + policy}.start(t)
			e := testbed.Event{}.Fill()
			want(t, testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)), 200, "forwarded")
			if err := os.Rename(dir, dir+".away"); err != nil {
				t.Fatal(err)
			}
			testbed.Eventually(t, soon, func() bool {
				resp := testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), testbed.Event{}.Fill()))
				if policy == "forward" {
					count, _ := g.Metric("webhook_guard_forwarded_without_dedupe_total")
					return resp.Status == http.StatusOK && count > 0
				}
				return resp.Status == http.StatusServiceUnavailable && resp.Guard == result
			}, "the loss to be noticed")
			g.WaitOutput(dir + " has been removed under the running gateway")
			if err := os.Rename(dir+".away", dir); err != nil {
				t.Fatal(err)
			}
			testbed.Eventually(t, soon, func() bool {
				return testbed.Do(t, testbed.Struktr().Request(t, g.URL(""), e)).Guard == "duplicate"
			}, "the store to be back by itself")
		})
	}
}
