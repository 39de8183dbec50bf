package testbed

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metric reads a metric from the admin API: the sum of all series that carry
// the labels, given as name and value in turn. Of histograms and summaries it
// is the number of observations. found is false when there is no such series.
func (g *Gateway) Metric(name string, labels ...string) (value float64, found bool) {
	g.tb.Helper()
	if len(labels)%2 != 0 {
		g.tb.Fatalf("metric %s: %d strings are not pairs of a label and its value", name, len(labels))
	}
	families, err := g.metrics()
	if err != nil {
		g.tb.Fatalf("reading metric %s: %v", name, err)
	}
	for _, series := range families[name].GetMetric() {
		if hasLabels(series, labels) {
			value += number(series)
			found = true
		}
	}
	return value, found
}

func (g *Gateway) metrics() (map[string]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.AdminURL()+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := Try(req)
	if err != nil {
		return nil, err
	}
	if resp.Status != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", resp.Status, resp.Body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(resp.Body))
	if err != nil {
		return nil, fmt.Errorf("parsing: %w", err)
	}
	return families, nil
}

func hasLabels(series *dto.Metric, labels []string) bool {
	has := make(map[string]string, len(series.GetLabel()))
	for _, pair := range series.GetLabel() {
		has[pair.GetName()] = pair.GetValue()
	}
	for i := 0; i < len(labels); i += 2 {
		if value, ok := has[labels[i]]; !ok || value != labels[i+1] {
			return false
		}
	}
	return true
}

func number(series *dto.Metric) float64 {
	switch {
	case series.Counter != nil:
		return series.GetCounter().GetValue()
	case series.Gauge != nil:
		return series.GetGauge().GetValue()
	case series.Histogram != nil:
		return float64(series.GetHistogram().GetSampleCount())
	case series.Summary != nil:
		return float64(series.GetSummary().GetSampleCount())
	default:
		return series.GetUntyped().GetValue()
	}
}
