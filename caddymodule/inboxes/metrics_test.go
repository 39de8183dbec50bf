package inboxes

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// samples is how many values a histogram has.
func samples(t *testing.T, c prometheus.Collector) (n uint64) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			n += metric.GetHistogram().GetSampleCount()
		}
	}
	return n
}
