package inboxes

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Metrics are made once in a process and registered with the registry of every
// configuration, so their values survive reloads. Labels come from closed sets: the inboxes
// of the store, states, outcomes, and reasons of which there are few.
type Metrics struct {
	events   *prometheus.GaugeVec
	bytes    *prometheus.GaugeVec
	oldest   *prometheus.GaugeVec
	held     *prometheus.GaugeVec
	attempts *prometheus.CounterVec
	dead     *prometheus.CounterVec
	refused  *prometheus.CounterVec
	delivery *prometheus.HistogramVec
	wait     *prometheus.HistogramVec
}

var sharedMetrics = sync.OnceValue(func() *Metrics {
	const ns = "webhook_guard_inbox"
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: ns, Name: name, Help: help}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: ns, Name: name, Help: help, Buckets: buckets}, []string{"inbox"})
	}
	return &Metrics{
		events:   gauge("events", "Events in the inbox by state, as the store has them.", "inbox", "state"),
		bytes:    gauge("bytes", "Bytes of the events that wait.", "inbox"),
		oldest:   gauge("oldest_ready_seconds", "How long the oldest ready event has been ready.", "inbox"),
		held:     gauge("held", "1 while the inbox is held, since the app is away.", "inbox"),
		attempts: counter("attempts_total", "Attempts to deliver an event, by outcome.", "inbox", "outcome"),
		dead:     counter("dead_total", "Events that were given up, by reason.", "inbox", "reason"),
		refused:  counter("refused_total", "Events that were not accepted, by reason.", "inbox", "reason"),
		delivery: histogram("delivery_seconds", "How long the app works on an event.", prometheus.ExponentialBuckets(0.001, 3, 12)), // 1 ms … 3 min
		wait: histogram("wait_seconds", "Times from accepting an event, or replaying it, to the app's success.",
			[]float64{0.005, 0.02, 0.1, 0.5, 1, 5, 30, 120, 600, 3600, 6 * 3600, 24 * 3600, 72 * 3600}),
	}
})

// RegisterMetrics puts the metrics into a configuration's registry.
func RegisterMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := sharedMetrics()
	for _, collector := range []prometheus.Collector{
		m.events, m.bytes, m.oldest, m.held, m.attempts, m.dead, m.refused, m.delivery, m.wait,
	} {
		var again prometheus.AlreadyRegisteredError
		if err := registry.Register(collector); err != nil && !errors.As(err, &again) {
			return nil, fmt.Errorf("registering metrics of inboxes: %w", err)
		}
	}
	return m, nil
}

// outcomes are how attempts end, as they are counted.
var outcomes = map[inbox.Outcome]string{inbox.Success: "success", inbox.Retry: "retry", inbox.GiveUp: "give_up", inbox.Postpone: inbox.Locked}

const (
	refusedFull  = "full"
	refusedStore = "store"
)

// begin shows an inbox from 0 on, so that the first of a kind is an increase. What has been
// counted before stays.
func (m *Metrics) begin(c *Config) {
	name := c.Name
	for _, state := range inbox.StateNames() {
		m.events.WithLabelValues(name, state)
	}
	for _, gauge := range []*prometheus.GaugeVec{m.bytes, m.oldest, m.held} {
		gauge.WithLabelValues(name)
	}
	for _, outcome := range outcomes {
		m.attempts.WithLabelValues(name, outcome)
	}
	for _, reason := range []string{reasonAge, reasonRefused, inbox.Damaged} {
		m.dead.WithLabelValues(name, reason)
	}
	for _, word := range c.GiveUp {
		if status, err := strconv.Atoi(word); err == nil { // of a class, those that occur are shown
			m.dead.WithLabelValues(name, reasonStatus(status))
		}
	}
	for _, reason := range []string{refusedFull, refusedStore} {
		m.refused.WithLabelValues(name, reason)
	}
	m.delivery.WithLabelValues(name)
	m.wait.WithLabelValues(name)
}

// stands records how an inbox stands.
func (m *Metrics) stands(name string, s inbox.Status) {
	for state, n := range map[inbox.State]int64{
		inbox.Ready: s.Ready, inbox.Delayed: s.Delayed, inbox.Leased: s.Leased, inbox.Dead: s.Dead, inbox.Done: s.Done,
	} {
		m.events.WithLabelValues(name, state.String()).Set(float64(n))
	}
	m.bytes.WithLabelValues(name).Set(float64(s.Bytes))
	oldest, held := 0.0, 0.0
	if !s.OldestReady.IsZero() {
		oldest = s.Now.Sub(s.OldestReady).Seconds()
	}
	if s.Held {
		held = 1
	}
	m.oldest.WithLabelValues(name).Set(oldest)
	m.held.WithLabelValues(name).Set(held)
}

// settled counts an attempt, whose event has waited for the given time.
func (m *Metrics) settled(name string, s inbox.Settlement, waited time.Duration) {
	m.attempts.WithLabelValues(name, outcomes[s.Outcome]).Inc()
	if s.Outcome == inbox.Postpone {
		return // the app had nothing to do with it
	}
	m.delivery.WithLabelValues(name).Observe(s.Attempt.Took.Seconds())
	switch s.Outcome {
	case inbox.Success:
		m.wait.WithLabelValues(name).Observe(waited.Seconds())
	case inbox.GiveUp:
		m.dead.WithLabelValues(name, s.Reason).Inc()
	}
}

// answered counts an event that was not accepted.
func (m *Metrics) answered(name string, a inbox.Answer, err error) {
	switch {
	case err != nil:
		m.refused.WithLabelValues(name, refusedStore).Inc()
	case a == inbox.Full:
		m.refused.WithLabelValues(name, refusedFull).Inc()
	}
}
