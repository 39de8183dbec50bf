package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// metrics are made once in a process and registered with the registry of every
// configuration, since each reload brings a new registry: their values survive
// it. Those with a scope are shown by [guardSeries]. Labels come from closed sets
// only: provider, configured scope, result, store, operation and the index of a
// secret.
type metrics struct {
	requests      *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	bodyBytes     *prometheus.HistogramVec
	eventAge      *prometheus.HistogramVec
	stampAge      *prometheus.HistogramVec
	secretMatches *prometheus.CounterVec
	storeDuration *prometheus.HistogramVec
	storeErrors   *prometheus.CounterVec
	withoutDedupe *prometheus.CounterVec
	commitRetries *prometheus.CounterVec
	idConflicts   *prometheus.CounterVec
	inFlight      *prometheus.GaugeVec
	lastVerified  *prometheus.GaugeVec
	bufferedBytes prometheus.GaugeFunc
}

var sharedMetrics = sync.OnceValue(newMetrics)

func newMetrics() *metrics {
	const ns = "webhook_guard"
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: ns, Name: name, Help: help, Buckets: buckets}, labels)
	}
	fast := prometheus.ExponentialBuckets(0.00005, 3, 12) // 50 µs … 9 s
	return &metrics{
		requests: counter("requests_total", "Requests by result.", "provider", "scope", "result"),
		duration: histogram("request_duration_seconds", "The guard's own time per request, without the app's.", fast, "provider"),
		bodyBytes: histogram("body_bytes", "Sizes of the bodies that were read.",
			prometheus.ExponentialBuckets(256, 4, 9), "provider"), // 256 B … 16 MiB
		eventAge: histogram("event_age_seconds", "Ages of verified events on arrival, by their own or their request's time.",
			[]float64{1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600}, "provider"),
		stampAge: histogram("stamp_age_seconds", "Ages of verified requests on arrival by stamps that each attempt renews: far from 0, a clock is wrong.",
			[]float64{-60, -30, -10, -5, -1, 1, 5, 10, 30, 60, 120, 300}, "provider"),
		secretMatches: counter("secret_matches_total", "Verified requests by the secret that matched, its index from 0.", "provider", "scope", "secret"),
		storeDuration: histogram("store_duration_seconds", "Durations of store operations.", fast, "store", "op"),
		storeErrors:   counter("store_errors_total", "Store operations that failed.", "store", "op"),
		withoutDedupe: counter("forwarded_without_dedupe_total", "Events forwarded although the store did not answer (on_store_error forward).", "provider"),
		commitRetries: counter("commit_retries_total", "Commits retried after the sender had its response.", "store"),
		idConflicts:   counter("id_conflicts_total", "Known event IDs that came with other content; refused as duplicates.", "provider"),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: ns, Name: "in_flight",
			Help: "Events that the app is working on."}, []string{"provider"}),
		lastVerified: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: ns, Name: "last_verified_timestamp_seconds",
			Help: "When a request was last verified, as Unix time; 0 before the first."}, []string{"provider", "scope"}),
		bufferedBytes: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Name: "buffered_bytes",
			Help: "Bytes of bodies held in memory."}, func() float64 { return float64(bodies.Bytes()) }),
	}
}

// counts are the metrics of one guard. Looking one up by its labels for each
// request costs more than counting.
type counts struct {
	metrics         *metrics
	provider, scope string
	results         labelled[prometheus.Counter]
	secrets         labelled[prometheus.Counter]
	duration        prometheus.Observer
	bodyBytes       prometheus.Observer
	eventAge        prometheus.Observer
	stampAge        prometheus.Observer
	inFlight        prometheus.Gauge
	lastVerified    prometheus.Gauge
}

// possible are the results that requests of a guard can have. All are counted from 0 on, from
// when the guard is loaded, so that the first of a kind is an increase.
func possible(inbox bool) []webhook.Result {
	return slices.DeleteFunc(webhook.Results(), func(result webhook.Result) bool {
		return !inbox && (result == webhook.Accepted || result == webhook.Queued || result == webhook.Revived)
	})
}

// of returns the metrics of a guard, which are at 0 unless an earlier configuration had them.
func (m *metrics) of(provider, scope string, inbox bool) *counts {
	c := &counts{
		metrics: m, provider: provider, scope: scope,
		duration:     m.duration.WithLabelValues(provider),
		bodyBytes:    m.bodyBytes.WithLabelValues(provider),
		eventAge:     m.eventAge.WithLabelValues(provider),
		stampAge:     m.stampAge.WithLabelValues(provider),
		inFlight:     m.inFlight.WithLabelValues(provider),
		lastVerified: m.lastVerified.WithLabelValues(provider, scope),
	}
	for _, result := range possible(inbox) {
		c.result(result)
	}
	m.withoutDedupe.WithLabelValues(provider)
	m.idConflicts.WithLabelValues(provider)
	return c
}

// result is the counter of the requests with this result.
func (c *counts) result(result webhook.Result) prometheus.Counter {
	return c.results.get(string(result), func(label string) prometheus.Counter {
		return c.metrics.requests.WithLabelValues(c.provider, c.scope, label)
	})
}

// secret is the counter of the requests that the secret of this index matched.
func (c *counts) secret(index int) prometheus.Counter {
	return c.secrets.get(strconv.Itoa(index), func(label string) prometheus.Counter {
		return c.metrics.secretMatches.WithLabelValues(c.provider, c.scope, label)
	})
}

// ofScope goes through the metrics that have the guard's scope.
func (c *counts) ofScope(show func(prometheus.Metric)) {
	show(c.lastVerified)
	for _, counters := range []*labelled[prometheus.Counter]{&c.results, &c.secrets} {
		counters.known.Range(func(_, counter any) bool {
			show(counter.(prometheus.Metric))
			return true
		})
	}
}

// verified counts when an event came, how old it is and, where the sender is authenticated,
// which secret matched.
func (c *counts) verified(event *webhook.Event, sender *webhook.Sender, now time.Time) {
	c.lastVerified.Set(float64(now.UnixMilli()) / 1000)
	if when := event.When(); !when.IsZero() {
		c.eventAge.Observe(now.Sub(when).Seconds())
	}
	if !event.Sent.IsZero() && sender.Rules.Renewed {
		c.stampAge.Observe(now.Sub(event.Sent).Seconds())
	}
	if sender.Authenticates() {
		c.secret(event.Secret).Inc()
	}
}

// labelled keeps what belongs to each value of a label, as its metric. Each is made when it
// is first needed.
type labelled[M any] struct{ known sync.Map }

func (l *labelled[M]) get(label string, make func(label string) M) M {
	if metric, ok := l.known.Load(label); ok {
		return metric.(M)
	}
	metric, _ := l.known.LoadOrStore(label, make(label))
	return metric.(M)
}

// registerAll puts all metrics into a configuration's registry, where they may be already.
func registerAll(registry prometheus.Registerer) (*metrics, *inboxes.Metrics, error) {
	m, err := registerMetrics(registry)
	if err != nil {
		return nil, nil, err
	}
	ofInboxes := inboxes.SharedMetrics()
	return m, ofInboxes, register(registry, append(ofInboxes.Collectors(inboxesInForce), guardSeries{m, inForce.all})...)
}

// registerMetrics puts the metrics into a registry, but for those with a guard's scope.
func registerMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := sharedMetrics()
	return m, register(registry, m.duration, m.bodyBytes, m.eventAge, m.stampAge, m.storeDuration,
		m.storeErrors, m.withoutDedupe, m.commitRetries, m.idConflicts, m.inFlight, m.bufferedBytes)
}

func register(registry prometheus.Registerer, collectors ...prometheus.Collector) error {
	for _, collector := range collectors {
		var again prometheus.AlreadyRegisteredError
		if err := registry.Register(collector); err != nil && !errors.As(err, &again) {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}
