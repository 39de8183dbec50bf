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
