//go:build linux

package compare_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/bench/compare"
	"github.com/webhookguard/caddy-webhook-guard/bench/report"
)

func TestMain(m *testing.M) {
	if compare.MainApp() {
		return
	}
	os.Exit(m.Run())
}

// A short run of the harness: every request gets the wanted answer, and every figure is
// recorded.
func TestCompare(t *testing.T) {
	t.Parallel()
	results := run(t, compare.Plan{
		Variants: variants(compare.Floor, "redis", "duplicates-redis", "forgeries"),
		Tables:   []string{report.Main}, Conns: 4,
	})
	if len(results.Samples) != 4 {
		t.Errorf("%d samples, want 4", len(results.Samples))
	}
	for _, s := range results.Samples {
		if s.Allocs <= 0 || s.AllocBytes <= 0 {
			t.Errorf("a Caddy that does not allocate: %+v", s)
		}
	}
}

func variants(names ...string) []compare.Variant {
	return slices.DeleteFunc(compare.Variants(), func(v compare.Variant) bool { return !slices.Contains(names, v.Name) })
}

func run(t *testing.T, plan compare.Plan) *report.Results {
	t.Helper()
	plan.Rounds, plan.SweepRounds = 1, 1
	plan.Length = compare.Length{WarmUp: 50 * time.Millisecond, Run: 100 * time.Millisecond}
	plan.Log = t.Logf
	plan.Scope = func(do func(testing.TB)) { t.Run("run", func(t *testing.T) { do(t) }) }
	results := plan.Run(t)
	if failed := results.Failed(); len(failed) > 0 {
		t.Errorf("not every request succeeded: %+v", failed)
	}
	for _, s := range results.Samples {
		// The number in time is not checked: a busy machine may answer all of them too late.
		if s.Resident <= 0 || s.Peak <= 0 || s.P50 <= 0 || s.P999 < s.P99 || s.P99 < s.P50 {
			t.Errorf("an impossible sample: %+v", s)
		}
	}
	tables := results.Tables()
	for _, name := range plan.Tables {
		if !strings.Contains(tables[name], "| guard, ") && name != report.InboxUses {
			t.Errorf("table %s has no row of the guard:\n%s", name, tables[name])
		}
	}
	return results
}
