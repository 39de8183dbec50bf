package examples_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// patient is how long a test waits for what comes soon.
const patient = 120 * time.Second

// watched is a gateway that shows every metric: guards under scopes of their own, of which
// some get into trouble, and inboxes of an app that fails events, or is away, one of them
// encrypted. Its senders are DocRouter and, where the clock is wrong, Struktr.
func watched(t *testing.T, store string, app *testbed.App, away int, key string) string {
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(strings.Repeat(key, 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	var routes strings.Builder
	guard := func(scope string, s testbed.Sender, lines ...string) {
		fmt.Fprintf(&routes, "\thandle /%s/* {\n\t\twebhook_guard %s {\n\t\t\tscope %s\n\t\t\tsecret %s\n\t\t\t%s\n\t\t}\n\t\treverse_proxy %s\n\t}\n",
			scope, s.Name, scope, s.Secret, strings.Join(lines, "\n\t\t\t"), app.Addr())
	}
	inbox := func(name, upstream string, lines ...string) []string {
		return append([]string{"inbox " + name + " {\n\t\t\t\tdeliver {\n\t\t\t\t\treverse_proxy " + upstream + "\n\t\t\t\t}"}, append(lines, "}")...)
	}
	docrouter := testbed.DocRouter()
	for _, scope := range []string{"good", "forged", "failing", "silent", "refuses"} {
		guard(scope, docrouter)
	}
	guard("old", docrouter, "secret "+oldSecret+" until "+time.Now().Add(48*time.Hour).UTC().Format(time.RFC3339))
	guard("forwards", docrouter, "on_store_error forward")
	guard("skewed", testbed.Struktr())
	guard("late", testbed.Struktr())
	guard("kept", docrouter, inbox("kept", app.Addr())...)
	guard("dead", docrouter, inbox("dead", app.Addr(), "give_up 410")...)
	guard("locked", docrouter, inbox("locked", app.Addr(), "retry 1s", "encrypt {file."+keyFile+"}")...)
	guard("away", docrouter, inbox("away", fmt.Sprintf("127.0.0.1:%d", away), "max_events 8", "retry 100ms")...)
	return fmt.Sprintf("{\n\tadmin 127.0.0.1:{$ADMIN}\n\twebhook_guard {\n\t\tstore %s\n\t}\n}\nhttp://:{$PORT} {\n%s}\n", store, routes.String())
}

const oldSecret = "the-old-secret-0123456789"

// troubled is an app that fails what it is sent to fail.
func troubled(d testbed.Delivery) testbed.Answer {
	switch {
	case strings.HasPrefix(d.URL, "/failing/"), strings.HasPrefix(d.URL, "/locked/"):
		return testbed.Answer{Status: http.StatusInternalServerError}
	case strings.HasPrefix(d.URL, "/dead/"):
		return testbed.Answer{Status: http.StatusGone}
	}
	return testbed.Answer{}
}

// attempt is a sender's request to the guard of a scope.
func attempt(t testing.TB, g *testbed.Gateway, scope string) *http.Request {
	s, e := testbed.DocRouter(), testbed.Event{}
	switch scope {
	case "old":
		s.Secret = oldSecret
	case "skewed":
		s, e.Sent = testbed.Struktr(), time.Now().Add(-2*time.Minute)
	case "late":
		s, e.Sent = testbed.Struktr(), time.Now().Add(-10*time.Minute)
	}
	return s.Request(t, g.URL("/"+scope), e)
}

var named = regexp.MustCompile(`\bwebhook_guard_[a-z_]+`)

// metricsNamed are the metrics that a text names, each once, without the suffixes of a
// histogram's series.
func metricsNamed(text string) []string {
	names := named.FindAllString(text, -1)
	for i, name := range names {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			names[i] = strings.TrimSuffix(names[i], suffix)
		}
		if strings.HasSuffix(name, "_") {
			names[i] = ""
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// A rule or a panel over a metric that is not there shows nothing, and nobody notices. So each
// name is one that a gateway has, and each metric of a gateway is documented.
func TestAlertsDashboardAndDocsNameTheMetricsOfAGateway(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, troubled)
	g := testbed.StartGateway(t, watched(t, "disk "+t.TempDir(), app, testbed.FreePort(t), "a1"))
	for _, scope := range []string{"good", "skewed", "kept", "dead"} {
		testbed.Do(t, attempt(t, g, scope))
	}
	for testbed.Do(t, attempt(t, g, "away")).Status == http.StatusOK { // until it is full
	}
	var exposed map[string]bool
	testbed.Eventually(t, patient, func() bool {
		exposed = families(t, g)
		return exposed["webhook_guard_inbox_dead_total"] && exposed["webhook_guard_inbox_wait_seconds"] && exposed["webhook_guard_inbox_events"]
	}, "the metrics of an event that was delivered, and of one that was given up")
	for file, least := range map[string]int{"monitoring/rules.yml": 10, "monitoring/dashboard.json": 18, "../docs/operations.md": 22} {
		text, err := os.ReadFile(filepath.FromSlash(file))
		if err != nil {
			t.Fatal(err)
		}
		names := metricsNamed(string(text))
		if len(names) < least {
			t.Errorf("%s names only %d metrics: is the search for them broken?", file, len(names))
		}
		for _, name := range names {
			if !exposed[name] {
				t.Errorf("%s names %s, which no gateway has", file, name)
			}
		}
		if strings.HasSuffix(file, ".md") {
			for _, name := range slices.Sorted(maps.Keys(exposed)) {
				if !slices.Contains(names, name) {
					t.Errorf("%s does not name the metric %s", file, name)
				}
			}
		}
	}
}

// families are the names of the guard's metrics that a gateway exposes.
func families(t *testing.T, g *testbed.Gateway) map[string]bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.AdminURL()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for line := range strings.Lines(string(testbed.Do(t, req).Body)) {
		if words := strings.Fields(line); len(words) > 3 && words[1] == "TYPE" && strings.HasPrefix(words[2], "webhook_guard_") {
			found[words[2]] = true
		}
	}
	return found
}

// panel is a panel of the dashboard.
type panel struct {
	Title       string `json:"title"`
	Targets     []struct{ Expr, LegendFormat string }
	FieldConfig struct{ Defaults struct{ Unit string } }
}

// dashboard reads the panels, with the variables of their queries filled in.
func dashboard(t *testing.T, window string) []panel {
	t.Helper()
	text, err := os.ReadFile("monitoring/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ Panels []panel }
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	filled := strings.NewReplacer("$provider", ".*", "$scope", ".*", "$__rate_interval", window)
	for _, p := range d.Panels {
		for i := range p.Targets {
			p.Targets[i].Expr = filled.Replace(p.Targets[i].Expr)
			if strings.Contains(p.Targets[i].Expr, "$") {
				t.Errorf("%s: the query has a variable that nobody fills in: %s", p.Title, p.Targets[i].Expr)
			}
		}
	}
	if len(d.Panels) < 10 {
		t.Fatalf("the dashboard has only %d panels", len(d.Panels))
	}
	return d.Panels
}

func TestTheDashboardsQueriesHaveNoUnknownVariables(t *testing.T) {
	t.Parallel()
	titles := make(map[string]bool)
	for _, p := range dashboard(t, "1m") {
		if p.Title == "" || titles[p.Title] || len(p.Targets) == 0 {
			t.Errorf("panel %q has %d queries, or its title twice", p.Title, len(p.Targets))
		}
		titles[p.Title] = true
	}
}
