//go:build full

package examples_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// picture is where the panels of the dashboard are drawn, from the data of the test.
var picture = flag.String("monitoring.picture", "", "draw the dashboard into this file")

func TestAlertRules(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"check", "rules", "rules.yml"}, {"test", "rules", "rules_test.yml"}, {"check", "config", "prometheus.yml"}} {
		cmd := exec.Command("promtool", args...)
		cmd.Dir = "monitoring"
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("promtool %s: %v; if it is not installed, run `make deps-full`\n%s", strings.Join(args, " "), err, out)
		}
	}
	rules, err := os.ReadFile("monitoring/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("monitoring/rules_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, alert := range alertNames(rules) {
		if !strings.Contains(string(tests), "alertname: "+alert+"\n        exp_alerts:\n") {
			t.Errorf("rules_test.yml has no test in which %s fires", alert)
		}
	}
}

func alertNames(rules []byte) (names []string) {
	for _, m := range regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllSubmatch(rules, -1) {
		names = append(names, string(m[1]))
	}
	return names
}

// prometheus is a running server.
type prometheus struct {
	t    *testing.T
	base string
}

// startPrometheus runs a server with the shipped configuration, over these gateways, in
// shorter windows: what takes an hour in production takes seconds here.
func startPrometheus(t *testing.T, gateways ...*testbed.Gateway) prometheus {
	t.Helper()
	dir := t.TempDir()
	var targets []string
	for _, g := range gateways {
		targets = append(targets, g.AdminAddr())
	}
	shorter := strings.NewReplacer(
		"[1h]", "[20s]", "[1d]", "[2m]", "[7d]", "[2m]", "[10m]", "[10s]", "[15m]", "[10s]", "[5m]", "[10s]", "time() - 3600", "time() - 20", "> 300", "> 3",
		"scrape_interval: 15s", "scrape_interval: 1s", "evaluation_interval: 15s", "evaluation_interval: 1s",
		"localhost:2019, localhost:2020", strings.Join(targets, ", "))
	for _, name := range []string{"prometheus.yml", "rules.yml"} {
		text, err := os.ReadFile(filepath.Join("monitoring", name))
		if err != nil {
			t.Fatal(err)
		}
		// Long enough for what one gateway shows a scrape before the other one does.
		short := regexp.MustCompile(`(?m)^( +for:) .*$`).ReplaceAllString(shorter.Replace(string(text)), "$1 5s")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(short), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := exec.LookPath("prometheus"); err != nil {
		t.Fatal("prometheus is not installed: run `make deps-full`")
	}
	address := fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t))
	server := testbed.StartProcess(t, dir, nil, "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address="+address)
	server.WaitOutput("Server is ready to receive web requests")
	return prometheus{t, "http://" + address}
}

// get asks the API.
func (p prometheus) get(path string, query url.Values, into any) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.base+path+"?"+query.Encode(), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp := testbed.Do(p.t, req)
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(resp.Body, &answer); err != nil || answer.Status != "success" {
		p.t.Fatalf("%s %v: %v %s", path, query, err, answer.Error)
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		p.t.Fatal(err)
	}
}

// firing are the alerts that fire now, each as its name and what it is about.
func (p prometheus) firing() (found []string) {
	p.t.Helper()
	var data struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	p.get("/api/v1/alerts", nil, &data)
	for _, alert := range data.Alerts {
		if l := alert.Labels; alert.State == "firing" {
			about := l["scope"] + l["inbox"]
			if l["scope"] == "" && l["instance"] != "" || about == "" {
				about = l["instance"] + l["store"] + l["provider"] + l["inbox"]
			}
			found = append(found, strings.TrimPrefix(l["alertname"], "WebhookGuard")+" "+about)
		}
	}
	return found
}

// Two gateways in all the trouble that there are alerts for, and a Prometheus that scrapes
// them: each alert fires for the guard that it is about, and none for the one that is well.
// Each query of the dashboard has data then.
func TestAlertsAndDashboardInARealPrometheus(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, troubled)
	first, second := testbed.StartRedis(t), testbed.StartRedis(t)
	away := testbed.FreePort(t)
	// A store that is well answers in time on a busy machine too.
	well := "redis " + first.URL() + " {\n\t\t\ttimeout 5s\n\t\t}"
	a := testbed.StartGateway(t, watched(t, well, app, away, "a1"))
	b := testbed.StartGateway(t, watched(t, "redis "+second.URL(), app, away, "a1"))
	server := startPrometheus(t, a, b)

	began := time.Now()
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	t.Cleanup(func() { stop(); senders.Wait() })
	every := func(g *testbed.Gateway, scope string, change func(*http.Request)) {
		senders.Go(func() {
			for ticker := time.NewTicker(200 * time.Millisecond); ; {
				select {
				case <-ctx.Done():
					ticker.Stop()
					return
				case <-ticker.C:
					req := attempt(t, g, scope)
					if change != nil {
						change(req)
					}
					_, _ = testbed.Try(req) // the metrics have its result
				}
			}
		})
	}
	forged := func(*http.Request) {}
	var forging sync.Mutex
	every(a, "good", nil)
	every(b, "good", nil)
	every(a, "forged", func(r *http.Request) { forging.Lock(); forged(r); forging.Unlock() })
	every(a, "old", nil)
	every(a, "skewed", nil)
	every(a, "failing", nil)
	every(a, "kept", nil)
	every(a, "dead", nil)
	every(a, "away", nil)
	every(b, "forwards", nil)
	every(b, "refuses", nil)
	every(b, "late", nil)
	testbed.Do(t, attempt(t, a, "silent"))

	seen := make(map[string]bool)
	wait := func(what string, expected ...string) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); ; time.Sleep(500 * time.Millisecond) {
			for _, alert := range server.firing() {
				seen[alert] = true
			}
			missing := slices.DeleteFunc(slices.Clone(expected), func(alert string) bool { return seen[alert] })
			if len(missing) == 0 {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: these alerts have not fired: %q; these have: %v", what, missing, seen)
			}
		}
	}
	instance := func(g *testbed.Gateway) string { return g.AdminAddr() }
	wait("from the start", "OldSecretInUse old", "SecretEndsSoon old", "ClockSkew "+instance(a)+"struktr", "AppFails failing",
		"InboxDead dead", "InboxHeld away", "InboxOld away", "NoRequests silent", "StampsRefused "+instance(b)+"struktr")

	testbed.Do(t, attempt(t, a, "locked")) // the app fails it, so that it is there when its key is not
	if err := a.Reload(watched(t, well, app, away, "b2")); err != nil {
		t.Fatal(err)
	}
	wait("without the key of an event", "InboxUnreadable locked")

	second.Stop()
	forging.Lock()
	forged = func(r *http.Request) {
		r.Header.Set(testbed.DocRouter().SignatureHeader, "sha256="+strings.Repeat("0", 64))
	}
	forging.Unlock()
	wait("with forgeries, and without the second store", "SignatureInvalid forged", "NothingVerified forged",
		"StoreErrors "+instance(b)+"redis", "InboxStoreErrors "+instance(b)+"kept", "RefusesEvents refuses", "ForwardedWithoutDedupe docrouter")
	panels := dashboard(t, "10s")
	for _, p := range panels {
		for _, target := range p.Targets {
			var data struct{ Result []json.RawMessage }
			server.get("/api/v1/query", url.Values{"query": {target.Expr}}, &data)
			if len(data.Result) == 0 {
				t.Errorf("%s: nothing is shown for %s", p.Title, target.Expr)
			}
		}
	}
	if *picture != "" {
		if err := os.WriteFile(*picture, []byte(draw(server, panels, began)), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	b.Kill()
	wait("without the second gateway", "Down "+instance(b))
	for alert := range seen {
		name, about, _ := strings.Cut(alert, " ")
		if about == "kept" || about == "good" && name != "RefusesEvents" || about == instance(a)+"redis" ||
			name == "InboxStoreErrors" && strings.HasPrefix(about, instance(a)) || name == "ClockSkew" && !strings.HasSuffix(about, "struktr") {
			t.Errorf("%s has fired without a reason", alert)
		}
	}
	rules, err := os.ReadFile("monitoring/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range alertNames(rules) {
		name = strings.TrimPrefix(name, "WebhookGuard")
		if !slices.ContainsFunc(slices.Collect(keysOf(seen)), func(alert string) bool { return strings.HasPrefix(alert, name+" ") }) {
			t.Errorf("%s has not been seen to fire", name)
		}
	}
	server.wantHealthyRules(len(alertNames(rules)))
}

func keysOf(seen map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range seen {
			if !yield(key) {
				return
			}
		}
	}
}

// wantHealthyRules fails the test unless the server evaluates this many rules without errors.
func (p prometheus) wantHealthyRules(n int) {
	p.t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.get("/api/v1/rules", nil, &data)
	healthy := 0
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			if rule.Health != "ok" {
				p.t.Errorf("%s is %s: %s", rule.Name, rule.Health, rule.LastError)
				continue
			}
			healthy++
		}
	}
	if healthy != n {
		p.t.Errorf("%d rules are healthy, want %d", healthy, n)
	}
}
