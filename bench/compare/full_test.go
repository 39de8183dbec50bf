//go:build full && linux

package compare_test

import (
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/bench/compare"
	"github.com/webhookguard/caddy-webhook-guard/bench/report"
	"github.com/webhookguard/caddy-webhook-guard/bench/traffic"
)

// A short run of everything in `make bench`: all variants, all senders.
func TestCompareAll(t *testing.T) {
	run(t, compare.Plan{Variants: compare.Variants(), Tables: []string{report.Main}, Conns: 4})
	run(t, compare.Plan{
		Variants: variants(compare.Floor, "memory", "disk", "redis", "nginx-lua"), Tables: []string{report.Main, report.Redis, report.Remembered, report.CPUs}, Conns: 4,
		Sweep: compare.Sweep{RedisEvents: 1000, Remembered: []int{500, 1000}, CPUs: []int{1}},
	})
	var senders []string
	for _, s := range traffic.Senders() {
		senders = append(senders, s.Name)
	}
	run(t, compare.Plan{
		Variants: variants(compare.Floor, "verify", "memory"),
		Tables:   []string{report.Senders, report.Sizes, report.Connections, report.Latency}, Conns: 4, LatencyConns: 8,
		Sweep: compare.Sweep{Senders: senders, Sizes: []int{4 << 20}, Conns: []int{1, 128}, Shares: []float64{0.1}},
	})
}

// The tables of inboxes: what is accepted is delivered, and every figure is there.
func TestInboxes(t *testing.T) {
	results := run(t, compare.Plan{
		Variants: variants(compare.Floor, "inbox-disk", "inbox-redis", "through-disk", "through-redis"),
		Tables:   []string{report.Inbox, report.InboxUses}, Conns: 4, Sweep: compare.Sweep{Waiting: 3000},
	})
	if len(results.Samples) != 5 || len(results.InboxUses) != 2 {
		t.Fatalf("%d samples and %d uses, want 5 and 2", len(results.Samples), len(results.InboxUses))
	}
	for _, u := range results.InboxUses {
		if u.Envelope <= 0 || u.Drained <= 0 || u.AtOnce <= 0 || u.AtOnce > 1.05 || len(u.Called) == 0 || len(u.Answered) == 0 {
			t.Errorf("impossible figures: %+v", u)
		}
		// Files grow by a MiB at a time, of which there may have been one.
		if u.Store == "redis" && u.Redis < u.Envelope || u.Store == "disk" && u.Files+(1<<20)/float64(u.Waiting) < u.Envelope {
			t.Errorf("less than the envelope is kept: %+v", u)
		}
	}
}
