package stores

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// A directory is one store, however it is written, and to describe it touches nothing.
func TestADirectoryIsOneStore(t *testing.T) {
	base := t.TempDir()
	t.Chdir(base)
	t.Setenv("GUARD_STATE", base)
	t.Setenv("XDG_DATA_HOME", base)
	key := func(dir string) string {
		t.Helper()
		s := &Disk{Dir: dir}
		if err := s.Provision(caddy.Context{}); err != nil {
			t.Fatal(err)
		}
		return s.PoolKey()
	}
	want := "disk:" + filepath.Join(base, "events")
	for _, dir := range []string{"events", "./events/", filepath.Join(base, "events"), "{env.GUARD_STATE}/events", "other/../events"} {
		if got := key(dir); got != want {
			t.Errorf("%s is %s, want %s", dir, got, want)
		}
	}
	if got := key("other"); got == want {
		t.Error("two directories are one store")
	}
	if got, want := key(""), "disk:"+filepath.Join(base, "caddy", "webhook_guard"); got != want {
		t.Errorf("the default is %s, want %s", got, want)
	}
	t.Setenv("XDG_DATA_HOME", base+"/{body}")
	if got, want := key(""), "disk:"+filepath.Join(base, "{body}", "caddy", "webhook_guard"); got != want {
		t.Errorf("the default is %s, want %s", got, want)
	}
	wantText(t, (&Disk{Dir: "{env.GUARD_UNSET}/events"}).Provision(caddy.Context{}), "disk: dir: ")
	if left, err := os.ReadDir(base); err != nil || len(left) > 0 {
		t.Errorf("describing a store left %v, %v", left, err)
	}
}
