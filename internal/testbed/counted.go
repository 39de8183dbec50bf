package testbed

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Counted is the sum of a collector's counters and gauges, or of its histograms' samples.
func Counted(tb testing.TB, c prometheus.Collector) (sum float64) {
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
