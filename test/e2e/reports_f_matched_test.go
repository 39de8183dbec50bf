package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// The log of a duplicate that came with another ID, and lookup, name the event that it
// matched: after a restart, a crash or a reload, and on another gateway.
func TestADuplicateNamesTheEventThatItMatched(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		text := strings.Replace(twoSenders, "STORE", store, 1)
		env := testbed.WithEnv("SECRET=a-secret-of-the-sender")
		g := testbed.StartGateway(t, text, env)
		again := func(g *testbed.Gateway, id string) {
			t.Helper()
			postNamed(t, g, "first", id, "duplicate")
			g.WaitOutput(`"id":"` + id + `","matched":"content"`)
			found := regexp.MustCompile(`"id":"` + id + `","matched":"content","key":"([\w-]{22})","matched_id":"id-1%3A%3A"`).FindStringSubmatch(g.Output())
			if found == nil {
				t.Fatalf("the line of the duplicate %s does not name the event that it matched", id)
			}
			cli{}.wantRun(t, 0, "it came with the ID id-1", "lookup", "named-acme", "--key", found[1],
				"--address", g.AdminAddr())
		}
		postNamed(t, g, "first", "id-1::", "forwarded")
		again(g, "copy-1")
		if store != "memory" {
			if err := g.Stop(); err != nil {
				t.Fatal(err)
			}
			g.Start()
			again(g, "copy-2")
			g.Kill()
			g.Start()
			again(g, "copy-3")
		}
		if err := g.Reload(strings.Replace(text, "respond ok", "respond well", 1)); err != nil {
			t.Fatal(err)
		}
		again(g, "copy-4")
		if isShared(store) {
			g = testbed.StartGateway(t, text, env)
			again(g, "copy-5")
		}
	})
}

// postNamed sends an event of the sender whose ID is not signed.
func postNamed(t *testing.T, g *testbed.Gateway, body, id, result string) {
	t.Helper()
	req, _ := signedPost(t, g.URL("/named"), body, id)
	want(t, testbed.Do(t, req), http.StatusOK, result)
}
