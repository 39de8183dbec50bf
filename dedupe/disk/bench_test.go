package disk

import (
	"fmt"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
)

// BenchmarkDisk is what an event costs on the disk, a claim and a commit, for callers
// whose app answers at once and for those whose app takes its time.
func BenchmarkDisk(b *testing.B) {
	for _, app := range []time.Duration{0, time.Millisecond} {
		for _, callers := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("app=%s/callers=%d", app, callers), func(b *testing.B) {
				d, err := Open(Options{Dir: b.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				before := testkit.CPU(b)
				b.ResetTimer()
				testkit.Spread(b, callers, func() error { return testkit.Settle(b, d, app) })
				b.StopTimer()
				b.ReportMetric(float64(testkit.CPU(b)-before)/1000/float64(b.N), "cpu-µs/op")
				if err := d.Close(); err != nil {
					b.Error(err)
				}
			})
		}
	}
}
