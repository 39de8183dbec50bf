package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A guard or an inbox that a reload takes out, or renames, leaves no metrics behind that stand
// still: an alert would wait for its requests, or tell of its events, until a restart.
func TestAReloadTakesMetricsOut(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
		if strings.HasPrefix(d.URL, "/kept/") {
			return testbed.Answer{Status: 410}
		}
		return testbed.Answer{}
	})
	s := testbed.DocRouter()
	guard := func(prefix, scope string, lines ...string) string {
		return route(prefix, s.Name, proxy(app), append(lines, secretOf(s), "scope "+scope)...)
	}
	kept := guard("/kept", "kept", "inbox kept {\n\tdeliver {\n\t"+proxy(app)+"\n\t}\n\tgive_up 410\n\t}")
	stays := guard("/stays", "stays")
	disk := "disk " + t.TempDir()
	g := site{store: disk, routes: stays + guard("/old", "old") + kept}.start(t)
	for _, prefix := range []string{"/stays", "/old", "/kept"} {
		if got := testbed.Do(t, s.Request(t, g.URL(prefix), testbed.Event{})); got.Status != 200 {
			t.Fatalf("%s: %s", prefix, got)
		}
	}
	must(t, g.Reload(site{store: disk, routes: stays + guard("/new", "new")}.caddyfile()))
	// The store still has the inbox: somebody has to look after its event.
	testbed.Eventually(t, soon, func() bool { return metric(g, "webhook_guard_inbox_events", "inbox", "kept", "state", "dead") == 1 }, "the dead event")
	shows := func(want bool, label, value string, names ...string) {
		t.Helper()
		for _, name := range names {
			if _, found := g.Metric("webhook_guard_"+name, label, value); found != want {
				t.Errorf("%s of %s is there: %t, want %t", name, value, found, want)
			}
		}
	}
	ofScope := []string{"requests_total", "last_verified_timestamp_seconds", "secret_matches_total"}
	shows(false, "scope", "old", ofScope...)
	shows(false, "scope", "kept", ofScope...)
	shows(true, "scope", "new", ofScope...)
	if got := metric(g, "webhook_guard_requests_total", "scope", "stays", "result", "forwarded"); got != 1 {
		t.Errorf("the guard that stays has forwarded %v events, want 1", got)
	}
	// A reload that fails changes nothing, though Caddy serves another registry after it.
	if err := g.Reload(site{store: disk, routes: guard("/first", "first") + stays + guard("/bad", "bad", "mode nonsense")}.caddyfile()); err == nil {
		t.Error("a mode that does not exist has loaded")
	}
	still := func() {
		t.Helper()
		shows(true, "scope", "new", ofScope...)
		shows(true, "scope", "stays", ofScope...)
		shows(true, "inbox", "kept", "inbox_events", "inbox_dead_total")
		if got, found := g.Metric("webhook_guard_buffered_bytes"); !found {
			t.Errorf("no bytes are shown: %v", got)
		}
	}
	still()
	shows(false, "scope", "first", ofScope...)
	// This one fails before the guard's app is loaded.
	load, err := http.NewRequest(http.MethodPost, g.AdminURL()+"/load", strings.NewReader(fmt.Sprintf(`{"admin":{"listen":%q},"apps":{"none":{}}}`, g.AdminAddr())))
	must(t, err)
	load.Header.Set("Content-Type", "application/json")
	if got := testbed.Do(t, load); got.Status != http.StatusBadRequest {
		t.Errorf("an app that does not exist: %s", got)
	}
	must(t, testbed.WaitReloaded(g))
	still()
	must(t, g.Reload(site{store: "memory", routes: stays}.caddyfile()))
	shows(false, "inbox", "kept", "inbox_events", "inbox_bytes", "inbox_oldest_ready_seconds", "inbox_held")
	must(t, g.Reload(site{store: disk, routes: stays + guard("/old", "old")}.caddyfile()))
	if got := metric(g, "webhook_guard_requests_total", "scope", "old", "result", "forwarded"); got != 1 {
		t.Errorf("the guard that is back has forwarded %v events, want 1: a counter never falls", got)
	}
}
