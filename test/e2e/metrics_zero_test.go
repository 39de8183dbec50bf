package e2e

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// documented are the metrics in the table of docs/operations.md, each with its labels.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	must(t, err)
	metrics := make(map[string][]string)
	name := regexp.MustCompile("`(webhook_guard_[a-z_]+)`")
	label := regexp.MustCompile("`([a-z]+)`")
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); strings.HasPrefix(line, "| `webhook_guard_") && len(cells) == 5 {
			var labels []string
			for _, found := range label.FindAllStringSubmatch(cells[2], -1) {
				labels = append(labels, found[1])
			}
			for _, found := range name.FindAllStringSubmatch(cells[1], -1) {
				metrics[found[1]] = labels
			}
		}
	}
	if len(metrics) < 23 {
		t.Fatalf("the table has only %d metrics: is the test still reading it?", len(metrics))
	}
	return metrics
}

// knownValues are the values of labels that are known when a guard with an inbox is loaded,
// in the order of the metric's labels.
func knownValues(metric, store string) (values [][]string) {
	switch name := strings.TrimPrefix(metric, "webhook_guard_"); name {
	case "requests_total":
		for _, result := range webhook.Results() {
			values = append(values, []string{"docrouter", "all", string(result)})
		}
	case "secret_matches_total":
		values = [][]string{{"docrouter", "all", "0"}, {"docrouter", "all", "1"}}
	case "secret_until_timestamp_seconds":
		values = [][]string{{"docrouter", "all", "1"}}
	case "last_verified_timestamp_seconds":
		values = [][]string{{"docrouter", "all"}}
	case "store_duration_seconds", "store_errors_total":
		for _, op := range []string{"claim", "renew", "commit", "release"} {
			values = append(values, []string{store, op})
		}
	case "commit_retries_total":
		values = [][]string{{store}}
	case "buffered_bytes":
		values = [][]string{{}}
	case "inbox_events":
		for _, state := range []string{"ready", "delayed", "leased", "dead", "done"} {
			values = append(values, []string{"payments", state})
		}
	case "inbox_attempts_total":
		for _, outcome := range []string{"success", "retry", "give_up", "locked", "newer"} {
			values = append(values, []string{"payments", outcome})
		}
	case "inbox_dead_total":
		for _, reason := range []string{"age", "refused by the app", "damaged", "status 410"} {
			values = append(values, []string{"payments", reason})
		}
	case "inbox_store_errors_total":
		for _, op := range []string{"take", "settle", "status"} {
			values = append(values, []string{"payments", op})
		}
	case "inbox_refused_total":
		values = [][]string{{"payments", "full"}, {"payments", "store"}}
	case "inbox_bytes", "inbox_oldest_ready_seconds", "inbox_held", "inbox_delivery_seconds", "inbox_wait_seconds":
		values = [][]string{{"payments"}}
	default:
		values = [][]string{{"docrouter"}}
	}
	return values
}

// Every metric is there, at 0, for all labels whose values are known when a configuration has
// been loaded: the first of a kind is then an increase, which alerts can see.
func TestEveryMetricIsThereFromTheLoadOn(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	lines := []string{
		secretOf(testbed.DocRouter()), "secret an-old-secret-of-docrouter until " + time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "scope all",
		"inbox payments {\n\tdeliver {\n\t" + proxy(app) + "\n\t}\n\tgive_up 410 5xx\n\t}",
	}
	for store, open := range map[string]func(t *testing.T) string{
		"disk":  func(t *testing.T) string { return "disk " + t.TempDir() },
		"redis": func(t *testing.T) string { return testbed.RedisStore(testbed.StartRedis(t).URL()) },
	} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			g := site{store: open(t), routes: route("", "docrouter", "", lines...)}.start(t)
			got := make(map[string]string)
			for series, value := range scrape(t, g) {
				got["webhook_guard_"+series] = value
			}
			metrics := documented(t)
			for metric, labels := range metrics {
				for _, values := range knownValues(metric, store) {
					name := seriesName(metric, labels, values)
					if histogram := seriesName(metric+"_count", labels, values); got[histogram] != "" {
						name = histogram
					}
					value, there := got[name]
					if until := metric == "webhook_guard_secret_until_timestamp_seconds"; !there || value != "0" && !until {
						t.Errorf("%s is %q right after the load, want 0: register it and make its zeros in metrics.go, and the values of its labels known here", name, value)
					}
					delete(got, name)
				}
			}
			for _, name := range slices.Sorted(maps.Keys(got)) {
				t.Errorf("%s is there, and not documented or not known: add its row to docs/operations.md, or the values of its labels here", name)
			}
		})
	}
}

// seriesName is a series as /metrics has it: the labels in the order of their names.
func seriesName(metric string, labels, values []string) string {
	if len(labels) != len(values) {
		return fmt.Sprintf("%s with the labels %q, where %q are documented", metric, values, labels)
	}
	var pairs []string
	for i, label := range labels {
		pairs = append(pairs, fmt.Sprintf("%s=%q", label, values[i]))
	}
	slices.Sort(pairs)
	if len(pairs) == 0 {
		return metric
	}
	return metric + "{" + strings.Join(pairs, ",") + "}"
}
