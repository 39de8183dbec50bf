package caddymodule

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

var secretUntil = prometheus.NewDesc("webhook_guard_secret_until_timestamp_seconds",
	"When a secret ceases to be accepted, as Unix time, where its line says so.", []string{"provider", "scope", "secret"}, nil)

// secretEnds shows when the secrets of a configuration end. It belongs to one configuration,
// whose registry it is in, so a line that a reload takes out is no longer shown. It
// implements [prometheus.Collector].
type secretEnds struct {
	mu     sync.Mutex
	guards []*Guard
}

// watch shows the secrets of one more guard, and counts their matches from 0 on.
func (e *secretEnds) watch(g *Guard) {
	for i := range len(g.secrets.fixed.secrets()) + len(g.secrets.perRequest) {
		g.counts.secret(i)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.guards = append(e.guards, g)
}

// Describe implements prometheus.Collector.
func (e *secretEnds) Describe(to chan<- *prometheus.Desc) { to <- secretUntil }

// Collect implements prometheus.Collector.
func (e *secretEnds) Collect(to chan<- prometheus.Metric) {
	e.mu.Lock()
	defer e.mu.Unlock()
	type series struct{ provider, scope, secret string }
	seen := make(map[series]bool) // guards that share a scope have the same secrets
	for _, g := range e.guards {
		for i, secret := range g.secrets.fixed.secrets() {
			s := series{g.ProviderName, g.scope.line, strconv.Itoa(i)}
			if secret.Until.IsZero() || seen[s] {
				continue
			}
			seen[s] = true
			to <- prometheus.MustNewConstMetric(secretUntil, prometheus.GaugeValue, float64(secret.Until.Unix()), s.provider, s.scope, s.secret)
		}
	}
}
