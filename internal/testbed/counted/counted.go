// Package counted reads what collectors of metrics have counted, for tests. It is apart from testbed, whose
// users are modules without Prometheus too.
package counted

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Sum is the sum of a collector's counters and gauges, or of its histograms' samples.
func Sum(tb testing.TB, c prometheus.Collector) (sum float64) {
	tb.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}
