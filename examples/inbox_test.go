package examples_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// The slow app of examples/inbox is ended in the middle of its work and is away for a while.
// Its sender never tries twice, and the app handles all events.
func TestTheSlowAppIsRestarted(t *testing.T) {
	t.Parallel()
	caddyfile, err := os.ReadFile(filepath.Join(testbed.ExampleDir(t, "inbox"), "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	app := testbed.StartSlowFlask(t, "SECONDS=0.3")
	port, github := testbed.FreePort(t), testbed.GitHub()
	g := testbed.StartGateway(t, string(caddyfile), testbed.WithPort(port), testbed.WithEnv(
		"SITE_ADDRESS=http://127.0.0.1:"+strconv.Itoa(port),
		"APP_PORT="+strconv.Itoa(app.Port()),
		"STORE_DIR="+filepath.Join(t.TempDir(), "events"),
		"GITHUB_SECRET="+github.Secret,
	))
	var sent []string
	send := func(n int) {
		t.Helper()
		for range n {
			e := testbed.Event{}.Fill()
			if got := testbed.Do(t, github.Request(t, g.URL(""), e)); got.Status != 200 || got.Guard != "accepted" {
				t.Fatalf("an event got %s, want it accepted", got)
			}
			sent = append(sent, e.ID)
		}
	}
	send(8)
	app.WaitOutput("working on ")
	app.Kill()
	working := strings.Count(app.Output(), "working on ")
	send(4)
	app.Start()
	handled := func() map[string]int {
		times := make(map[string]int)
		for _, line := range app.Handled() {
			times[strings.TrimPrefix(line, "handled ")]++
		}
		return times
	}
	testbed.Eventually(t, 3*time.Minute, func() bool { return len(handled()) == len(sent) }, "the app to handle all events")
	for id, times := range handled() {
		if !slices.ContainsFunc(sent, func(want string) bool { return strings.Contains(id, want) }) {
			t.Errorf("the app handled %s, which nobody has sent", id)
		}
		if times > 1 {
			working--
		}
	}
	if working < 0 {
		t.Errorf("more events were handled twice than the app was working on when it was ended:\n%s", app.Output())
	}
}
