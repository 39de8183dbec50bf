package dedupe

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkDisk is what an event costs on the disk, a claim and a commit, for callers
// whose app answers at once and for those whose app takes its time.
func BenchmarkDisk(b *testing.B) {
	for _, app := range []time.Duration{0, time.Millisecond} {
		for _, callers := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("app=%s/callers=%d", app, callers), func(b *testing.B) {
				d, err := OpenDisk(DiskOptions{Dir: b.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				before := cpu(b)
				b.ResetTimer()
				spread(b, callers, func() error {
					ev := Event{Content: Key(NewToken()), ID: Key(NewToken())}
					if a, err := d.Claim(b.Context(), ev, NewToken(), 10*time.Second); err != nil || a.State != Claimed {
						return fmt.Errorf("claim: %+v, %w", a, err)
					}
					if app > 0 {
						time.Sleep(app)
					}
					return d.Commit(b.Context(), ev, 200, time.Hour)
				})
				b.StopTimer()
				b.ReportMetric(float64(cpu(b)-before)/1000/float64(b.N), "cpu-µs/op")
				if err := d.Close(); err != nil {
					b.Error(err)
				}
			})
		}
	}
}
