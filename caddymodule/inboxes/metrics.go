package inboxes

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Metrics are made once in a process and registered with the registry of every
// configuration, so their values survive reloads. Those that say how an inbox stands are
// shown by [standings]. Labels come from closed sets: the inboxes
// of the store, states, outcomes, and reasons of which there are few.
type Metrics struct {
	events   *prometheus.GaugeVec
	bytes    *prometheus.GaugeVec
	oldest   *prometheus.GaugeVec
	held     *prometheus.GaugeVec
	attempts *prometheus.CounterVec
	dead     *prometheus.CounterVec
	refused  *prometheus.CounterVec
	failed   *prometheus.CounterVec
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
		failed:   counter("store_errors_total", "Failed operations of the store, by operation.", "inbox", "op"),
		delivery: histogram("delivery_seconds", "How long the app works on an event.", prometheus.ExponentialBuckets(0.001, 3, 12)), // 1 ms … 3 min
		wait: histogram("wait_seconds", "Times from accepting an event, or replaying it, to the app's success.",
			[]float64{0.005, 0.02, 0.1, 0.5, 1, 5, 30, 120, 600, 3600, 6 * 3600, 24 * 3600, 72 * 3600}),
	}
})

// SharedMetrics are those of the process.
func SharedMetrics() *Metrics { return sharedMetrics() }

// Collectors are what the registry of a configuration has of them. sets has the inboxes of the
// configuration in force, which need not be this one: a reload may fail.
func (m *Metrics) Collectors(sets func() []*Set) []prometheus.Collector {
	return []prometheus.Collector{standings{m, sets}, m.attempts, m.dead, m.refused, m.failed, m.delivery, m.wait}
}

// standings show how the inboxes of the configuration in force stand: those that its guards name, and
// those that its store has. An inbox that is in neither any more is not shown: nobody looks
// after what it last said.
type standings struct {
	metrics *Metrics
	sets    func() []*Set
}

// Describe implements prometheus.Collector.
func (s standings) Describe(to chan<- *prometheus.Desc) {
	for _, gauge := range []*prometheus.GaugeVec{s.metrics.events, s.metrics.bytes, s.metrics.oldest, s.metrics.held} {
		gauge.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (s standings) Collect(to chan<- prometheus.Metric) {
	var names []string
	for _, set := range s.sets() {
		names = append(names, set.shown()...) // two of one name while the configuration changes
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		for _, state := range inbox.StateNames() {
			to <- s.metrics.events.WithLabelValues(name, state)
		}
		for _, gauge := range []*prometheus.GaugeVec{s.metrics.bytes, s.metrics.oldest, s.metrics.held} {
			to <- gauge.WithLabelValues(name)
		}
	}
}

// outcomes are how attempts end, as they are counted. Those of events that are postponed are
// counted by what they wait for.
var outcomes = map[inbox.Outcome]string{inbox.Success: "success", inbox.Retry: "retry", inbox.GiveUp: "give_up"}

const (
	refusedFull  = "full"
	refusedStore = "store"
)

// Operations of the store whose failures are counted. Of those that accept an event, the
// requests and [refusedStore] tell.
const (
	opTake   = "take"
	opSettle = "settle"
	opStatus = "status"
)

// begin shows an inbox from 0 on, so that the first of a kind is an increase. What has been
// counted before stays.
func (m *Metrics) begin(c *Config) {
	name := c.Name
	for _, outcome := range outcomes {
		m.attempts.WithLabelValues(name, outcome)
	}
	for reason := range fixes {
		m.attempts.WithLabelValues(name, reason)
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
	for _, op := range []string{opTake, opSettle, opStatus} {
		m.failed.WithLabelValues(name, op)
	}
	m.delivery.WithLabelValues(name)
	m.wait.WithLabelValues(name)
}

// storeFailed counts an operation that the store of an inbox did not carry out.
func (m *Metrics) storeFailed(name, op string) { m.failed.WithLabelValues(name, op).Inc() }

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

// settled counts an attempt.
func (m *Metrics) settled(name string, s inbox.Settlement) {
	outcome := outcomes[s.Outcome]
	if s.Outcome == inbox.Postpone {
		outcome = s.Reason
	}
	m.attempts.WithLabelValues(name, outcome).Inc()
	if s.Outcome == inbox.GiveUp {
		m.dead.WithLabelValues(name, s.Reason).Inc()
	}
}

// asked counts how long the app took for an attempt and, with success, how long its event has
// waited.
func (m *Metrics) asked(name string, s inbox.Settlement, waited time.Duration) {
	m.delivery.WithLabelValues(name).Observe(s.Attempt.Took.Seconds())
	if s.Outcome == inbox.Success {
		m.wait.WithLabelValues(name).Observe(waited.Seconds())
	}
}

// RefusedFull counts an event that was not accepted for want of room.
func (in *Inbox) RefusedFull() { in.metrics.refused.WithLabelValues(in.Name, refusedFull).Inc() }

// RefusedByStore counts an event that was not accepted since the store did not take it, or could
// not say whether it has had it.
func (in *Inbox) RefusedByStore() { in.metrics.refused.WithLabelValues(in.Name, refusedStore).Inc() }
