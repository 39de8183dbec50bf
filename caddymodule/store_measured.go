package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// measuredStore is a store that measures its operations and names them, and itself, in
// their errors. Stores themselves do not.
type measuredStore struct {
	dedupe.Store
	kind      string
	metrics   *metrics
	durations labelled[prometheus.Observer] // by operation
}

// observe measures one operation, and names it in its error.
func (s *measuredStore) observe(op string, start time.Time, err error) error {
	s.duration(op).Observe(time.Since(start).Seconds())
	if err != nil && !errors.Is(err, dedupe.ErrLost) { // that one is an answer
		s.metrics.storeErrors.WithLabelValues(s.kind, op).Inc()
	}
	return s.named(op, err)
}

// duration measures one kind of operation.
func (s *measuredStore) duration(op string) prometheus.Observer {
	return s.durations.get(op, func(label string) prometheus.Observer {
		return s.metrics.storeDuration.WithLabelValues(s.kind, label)
	})
}

// named adds the store and the operation to an error.
func (s *measuredStore) named(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s: %w", s.kind, op, err)
}

// Claim implements dedupe.Store.
func (s *measuredStore) Claim(ctx context.Context, event dedupe.Event, token dedupe.Token, lease time.Duration) (dedupe.Answer, error) {
	start := time.Now()
	answer, err := s.Store.Claim(ctx, event, token, lease)
	return answer, s.observe("claim", start, err)
}

// Renew implements dedupe.Store.
func (s *measuredStore) Renew(ctx context.Context, event dedupe.Event, token dedupe.Token, lease time.Duration) error {
	start := time.Now()
	return s.observe("renew", start, s.Store.Renew(ctx, event, token, lease))
}

// Commit implements dedupe.Store.
func (s *measuredStore) Commit(ctx context.Context, event dedupe.Event, success dedupe.Success, ttl time.Duration) error {
	start := time.Now()
	return s.observe("commit", start, s.Store.Commit(ctx, event, success, ttl))
}

// Release implements dedupe.Store.
func (s *measuredStore) Release(ctx context.Context, event dedupe.Event, token dedupe.Token) error {
	start := time.Now()
	return s.observe("release", start, s.Store.Release(ctx, event, token))
}

// Lookup implements dedupe.Store. Only an operator calls it, so it is not measured.
func (s *measuredStore) Lookup(ctx context.Context, key dedupe.Key) (dedupe.Record, error) {
	record, err := s.Store.Lookup(ctx, key)
	return record, s.named("lookup", err)
}

// Forget implements dedupe.Store. Only an operator calls it, so it is not measured.
func (s *measuredStore) Forget(ctx context.Context, id dedupe.Key) (dedupe.Record, error) {
	record, err := s.Store.Forget(ctx, id)
	return record, s.named("forget", err)
}

// Close implements dedupe.Store.
func (s *measuredStore) Close() error { return s.named("close", s.Store.Close()) }
