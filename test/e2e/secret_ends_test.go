package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Whoever rotates a secret sees when the old one ends and whether it is still in use. A line
// that a reload takes out is gone from the metrics, too.
func TestMetricsSayWhenASecretEnds(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	until := time.Now().Add(48 * time.Hour).Truncate(time.Second)
	old := fmt.Sprintf("secret the-old-one-0123456789 until %s", until.UTC().Format(time.RFC3339))
	config := func(lines ...string) string {
		return site{store: "memory", routes: route("/a", "struktr", proxy(app), lines...) + route("/b", "struktr", proxy(app), lines...)}.caddyfile()
	}
	const name = "webhook_guard_secret_until_timestamp_seconds"
	g := testbed.StartGateway(t, config("secret the-new-one-0123456789", old))
	if got, found := g.Metric(name, "provider", "struktr", "scope", "struktr", "secret", "1"); !found || got != float64(until.Unix()) {
		t.Errorf("the old secret ends at %v (%t), want %d", got, found, until.Unix())
	}
	if got, found := g.Metric(name, "secret", "0"); found {
		t.Errorf("the secret without an end has %v", got)
	}
	s := testbed.Struktr()
	s.Secret = "the-old-one-0123456789"
	want(t, testbed.Do(t, s.Request(t, g.URL("/b"), testbed.Event{})), 200, "forwarded")
	if got := metric(g, "webhook_guard_secret_matches_total", "scope", "struktr", "secret", "1"); got != 1 {
		t.Errorf("the old secret has matched %v times", got)
	}
	must(t, g.Reload(config("secret the-new-one-0123456789")))
	if got, found := g.Metric(name); found {
		t.Errorf("after the line is gone, a secret ends at %v", got)
	}
}
