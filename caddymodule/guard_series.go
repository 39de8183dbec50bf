package caddymodule

import (
	"slices"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

var secretUntil = prometheus.NewDesc("webhook_guard_secret_until_timestamp_seconds",
	"When a secret ceases to be accepted, as Unix time, where its line says so.", []string{"provider", "scope", "secret"}, nil)

// watched are the guards of a configuration whose metrics are shown.
type watched struct {
	mu     sync.Mutex
	guards []*Guard
}

// add shows one more guard, and counts the matches of its secrets from 0 on.
func (w *watched) add(g *Guard) {
	for i := range len(g.secrets.fixed.secrets()) + len(g.secrets.perRequest) {
		g.counts.secret(i)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.guards = append(w.guards, g)
}

func (w *watched) all() []*Guard {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.guards)
}

// guardSeries shows the metrics that have the scope of a guard, for the guards of the
// configuration in force. A guard or a secret that a reload takes out is no longer shown: an
// alert would wait for its requests. The values of those that stay survive. It implements
// [prometheus.Collector].
//
// It does not go by the registry that it is in. After a reload that failed, Caddy serves that
// of the configuration which never came into force.
type guardSeries struct {
	metrics *metrics
	apps    func() []*App
}

// Describe implements prometheus.Collector.
func (s guardSeries) Describe(to chan<- *prometheus.Desc) {
	s.metrics.requests.Describe(to)
	s.metrics.secretMatches.Describe(to)
	s.metrics.lastVerified.Describe(to)
	to <- secretUntil
}

// Collect implements prometheus.Collector.
func (s guardSeries) Collect(to chan<- prometheus.Metric) {
	type series struct{ provider, scope, secret string }
	// Guards that share a scope share its metrics, and have the same secrets.
	shown, ends := make(map[prometheus.Metric]bool), make(map[series]bool)
	var guards []*Guard
	for _, app := range s.apps() {
		guards = append(guards, app.watched.all()...)
	}
	for _, g := range guards {
		g.counts.ofScope(func(metric prometheus.Metric) {
			if !shown[metric] {
				shown[metric] = true
				to <- metric
			}
		})
		for i, secret := range g.secrets.fixed.secrets() {
			s := series{g.ProviderName, g.scope.line, strconv.Itoa(i)}
			if secret.Until.IsZero() || ends[s] {
				continue
			}
			ends[s] = true
			to <- prometheus.MustNewConstMetric(secretUntil, prometheus.GaugeValue, float64(secret.Until.Unix()), s.provider, s.scope, s.secret)
		}
	}
}
