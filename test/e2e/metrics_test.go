package e2e

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// twoGuards are two tenants of one provider and a scope that varies; no global
// option asks for metrics, since the admin API has them anyway.
func twoGuards(store, app, lines string) string {
	return fmt.Sprintf(`{
	admin 127.0.0.1:{$ADMIN}
	webhook_guard {
		store %[1]s
	}
}
http://:{$PORT} {
	handle /a/webhooks/docrouter {
		webhook_guard docrouter {
			secret some-older-secret
			secret whs_canarydocrouter
			scope tenant-a
			%[3]s
		}
		reverse_proxy %[2]s
	}
	handle /b/webhooks/docrouter {
		webhook_guard docrouter {
			secret whs_canarydocrouter
			scope tenant-b
		}
		reverse_proxy %[2]s
	}
	handle /c/webhooks/struktr {
		map {host} {tenant} {
			one.test first
			two.test second
			default third
		}
		webhook_guard struktr {
			secret canary-struktr-secret
			scope {tenant}
		}
		reverse_proxy %[2]s
	}
}
`, store, app, lines)
}

// scrape returns the guard's series as /metrics has them, each with its value,
// without the buckets and sums of histograms.
func scrape(t *testing.T, g *testbed.Gateway) map[string]string {
	t.Helper()
	series := make(map[string]string)
	for line := range strings.Lines(metricsText(t, g)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if !ok {
			name, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		} else {
			name += "}"
		}
		if !strings.HasPrefix(name, "webhook_guard_") || strings.Contains(name, "_bucket{") || strings.Contains(name, "_sum{") {
			continue
		}
		if _, twice := series[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		series[strings.TrimPrefix(name, "webhook_guard_")] = value
	}
	return series
}

func metricsText(t *testing.T, g *testbed.Gateway) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.AdminURL()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp := testbed.Do(t, req)
	if resp.Status != 200 {
		t.Fatalf("/metrics: %v", resp)
	}
	return string(resp.Body)
}

func TestMetricsCountEveryOutcome(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
			if strings.Contains(string(d.Body), "fails") {
				return testbed.Answer{Status: 500}
			}
			return testbed.Answer{}
		})
		g := testbed.StartGateway(t, twoGuards(store, app.Addr(), ""))
		series := func() { knownSeries(t, g) }
		kind, _, _ := strings.Cut(store, " ")
		expect := func(times int) map[string]string {
			n := func(count int) string { return fmt.Sprint(count * times) }
			return map[string]string{
				`requests_total{provider="docrouter",result="forwarded",scope="tenant-a"}`:         n(1),
				`requests_total{provider="docrouter",result="duplicate",scope="tenant-a"}`:         n(2),
				`requests_total{provider="docrouter",result="signature_invalid",scope="tenant-a"}`: n(1),
				`requests_total{provider="docrouter",result="timestamp_stale",scope="tenant-a"}`:   n(1),
				`requests_total{provider="docrouter",result="forwarded",scope="tenant-b"}`:         n(1),
				`requests_total{provider="docrouter",result="upstream_failed",scope="tenant-b"}`:   n(1),
				`requests_total{provider="struktr",result="forwarded",scope="{tenant}"}`:           n(2),
				`requests_total{provider="struktr",result="duplicate",scope="{tenant}"}`:           n(1),
				`request_duration_seconds_count{provider="docrouter"}`:                             n(7),
				`request_duration_seconds_count{provider="struktr"}`:                               n(3),
				`body_bytes_count{provider="docrouter"}`:                                           n(6),
				`body_bytes_count{provider="struktr"}`:                                             n(3),
				`stamp_age_seconds_count{provider="docrouter"}`:                                    n(5),
				`stamp_age_seconds_count{provider="struktr"}`:                                      n(3),
				`event_age_seconds_count{provider="docrouter"}`:                                    n(5),
				`event_age_seconds_count{provider="struktr"}`:                                      n(3),
				`secret_matches_total{provider="docrouter",scope="tenant-a",secret="1"}`:           n(3),
				`secret_matches_total{provider="docrouter",scope="tenant-b",secret="0"}`:           n(2),
				`secret_matches_total{provider="struktr",scope="{tenant}",secret="0"}`:             n(3),
				`store_duration_seconds_count{op="claim",store="` + kind + `"}`:                    n(8),
				`store_duration_seconds_count{op="commit",store="` + kind + `"}`:                   n(4),
				`store_duration_seconds_count{op="release",store="` + kind + `"}`:                  n(1),
				`id_conflicts_total{provider="struktr"}`:                                           n(1),
				`in_flight{provider="docrouter"}`:                                                  "0",
				`in_flight{provider="struktr"}`:                                                    "0",
				`buffered_bytes`:                                                                   "0",
			}
		}
		wantZeros(t, g)
		series()
		wantSeries(t, g, expect(1))

		// A reload brings a new registry. The counters keep their values and continue.
		for n := range 3 {
			if err := g.Reload(twoGuards(store, app.Addr(), fmt.Sprintf("max_age %dm", 5+n))); err != nil {
				t.Fatal(err)
			}
			wantSeries(t, g, expect(n+1))
			series()
			wantSeries(t, g, expect(n+2))
		}
		// A configuration that fails removes nothing either.
		if err := g.Reload(twoGuards(store, app.Addr(), "no_such_line")); err == nil {
			t.Fatal("a bad configuration was accepted")
		}
		wantSeries(t, g, expect(4))
	})
}

// knownSeries sends ten requests whose outcomes are known.
func knownSeries(t *testing.T, g *testbed.Gateway) {
	t.Helper()
	docrouter, struktr := testbed.DocRouter(), testbed.Struktr()
	e := testbed.Event{}.Fill()
	want(t, testbed.Do(t, docrouter.Request(t, g.URL("/a"), e)), 200, "forwarded")
	for range 2 {
		want(t, testbed.Do(t, docrouter.Request(t, g.URL("/a"), e)), 200, "duplicate")
	}
	forged := docrouter.Request(t, g.URL("/a"), testbed.Event{})
	forged.Header.Set(docrouter.SignatureHeader, "sha256="+strings.Repeat("0", 64))
	want(t, testbed.Do(t, forged), 401, "signature_invalid")
	want(t, testbed.Do(t, docrouter.Request(t, g.URL("/a"), testbed.Event{Sent: time.Now().Add(-time.Hour)})), 403, "timestamp_stale")

	want(t, testbed.Do(t, docrouter.Request(t, g.URL("/b"), e)), 200, "forwarded")
	want(t, testbed.Do(t, docrouter.Request(t, g.URL("/b"), testbed.Event{Type: "fails"})), 500, "upstream_failed")

	ofTenant := func(tenant string, e testbed.Event) *http.Request {
		req := struktr.Request(t, g.URL("/c"), e)
		req.Host = tenant + ".test"
		return req
	}
	want(t, testbed.Do(t, ofTenant("one", e)), 200, "forwarded")
	want(t, testbed.Do(t, ofTenant("two", e)), 200, "forwarded")
	other := testbed.Event{ID: e.ID, Type: "document.changed", Time: e.Time, Sent: e.Sent}
	want(t, testbed.Do(t, ofTenant("one", other)), 200, "duplicate") // a known ID with other content
}

// wantZeros checks that what alerts are about is counted from 0 on, before any request.
func wantZeros(t *testing.T, g *testbed.Gateway) {
	t.Helper()
	got := scrape(t, g)
	for _, guard := range []string{`provider="docrouter",%sscope="tenant-a"`, `provider="docrouter",%sscope="tenant-b"`, `provider="struktr",%sscope="{tenant}"`} {
		for _, result := range []string{"forwarded", "duplicate", "upstream_failed", "signature_invalid", "timestamp_stale", "store_unavailable"} {
			name := "requests_total{" + fmt.Sprintf(guard, fmt.Sprintf("result=%q,", result)) + "}"
			if got[name] != "0" {
				t.Errorf("%s is %q before the first request, want 0", name, got[name])
			}
		}
		name := "last_verified_timestamp_seconds{" + fmt.Sprintf(guard, "") + "}"
		if got[name] != "0" {
			t.Errorf("%s is %q before the first request, want 0", name, got[name])
		}
	}
	for _, counter := range []string{
		`secret_matches_total{provider="docrouter",scope="tenant-a",secret="0"}`, `secret_matches_total{provider="docrouter",scope="tenant-a",secret="1"}`,
		`forwarded_without_dedupe_total{provider="docrouter"}`, `id_conflicts_total{provider="struktr"}`,
	} {
		if got[counter] != "0" {
			t.Errorf("%s is %q before the first request, want 0", counter, got[counter])
		}
	}
	for _, counter := range []string{"commit_retries_total{", `store_errors_total{op="claim",`, `store_errors_total{op="commit",`} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(got)), func(name string) bool { return strings.HasPrefix(name, counter) && got[name] == "0" }) {
			t.Errorf("no %s… is 0 before the first request", counter)
		}
	}
}

// wantSeries waits for exactly these series: requests are counted after they are
// answered.
func wantSeries(t *testing.T, g *testbed.Gateway, expected map[string]string) {
	t.Helper()
	var got map[string]string
	matches := func() bool {
		got = scrape(t, g)
		for _, kind := range []string{"memory", "disk", "redis"} {
			delete(got, fmt.Sprintf("store_duration_seconds_count{op=%q,store=%q}", "renew", kind)) // of slow machines
		}
		maps.DeleteFunc(got, func(name, value string) bool {
			_, known := expected[name]
			return !known && (strings.HasPrefix(name, "last_verified_timestamp_seconds") || value == "0") // counted from 0 on
		})
		if len(got) != len(expected) {
			return false
		}
		for name, value := range expected {
			if got[name] != value {
				return false
			}
		}
		return true
	}
	for end := time.Now().Add(soon); !matches(); time.Sleep(20 * time.Millisecond) {
		if time.Now().Before(end) {
			continue
		}
		for name, value := range expected {
			if got[name] != value {
				t.Errorf("%s is %q, want %s", name, got[name], value)
			}
		}
		for name, value := range got {
			if _, known := expected[name]; !known {
				t.Errorf("unexpected series %s %s", name, value)
			}
		}
		t.FailNow()
	}
}

func TestGaugesFollowWhatIsHeld(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		hold := newGate(t)
		app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer { return testbed.Answer{Wait: hold.c} })
		conf := setup{store: store, app: app}
		g := conf.start(t)
		var answered []<-chan reply
		var sent int
		for range 3 {
			e := testbed.Event{}.Fill()
			body := append(testbed.DocRouter().Body(e), strings.Repeat("\n", 20<<10)...)
			sent += len(body)
			answered = append(answered, sendAsync(testbed.DocRouter().RequestWith(t, g.URL(""), body, e)))
		}
		app.WaitCount(3)
		for range 2 { // the gauges survive a reload, too
			if got := metric(g, "webhook_guard_in_flight", "provider", "docrouter"); got != 3 {
				t.Errorf("%v events in flight, want 3", got)
			}
			if got := metric(g, "webhook_guard_buffered_bytes"); got < float64(sent) || got > 2*float64(sent) {
				t.Errorf("%v bytes buffered of bodies of %d bytes", got, sent)
			}
			conf.lines = "max_age 7m"
			if err := g.Reload(conf.caddyfile()); err != nil {
				t.Fatal(err)
			}
		}
		hold.open()
		for _, resp := range waitAll(t, answered) {
			want(t, resp, 200, "forwarded")
		}
		testbed.Eventually(t, soon, func() bool {
			return metric(g, "webhook_guard_in_flight", "provider", "docrouter") == 0 && metric(g, "webhook_guard_buffered_bytes") == 0
		}, "everything given back")
	})
}

// The `metrics` option puts the same ones on the sites' own /metrics handlers.
func TestMetricsHandlerHasThemToo(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	conf := setup{store: "memory", app: app, global: "\tmetrics"}
	port := testbed.FreePort(t)
	conf.tail = fmt.Sprintf("http://:%d {\n\tmetrics /metrics\n}\n", port)
	g := conf.start(t)
	want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), testbed.Event{})), 200, "forwarded")
	const line = `webhook_guard_requests_total{provider="docrouter",result="forwarded",scope="docrouter"} 1`
	testbed.Eventually(t, soon, func() bool {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
		if err != nil {
			return false
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		return err == nil && slices.Contains(strings.Split(string(body), "\n"), line)
	}, line)
}
