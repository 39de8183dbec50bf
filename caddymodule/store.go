package caddymodule

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// pool holds the open stores of this process, by their PoolKey.
var pool = caddy.NewUsagePool()

// sharedStore is a store together with what belongs to it for as long as it is
// open, across reloads: the flights of its events, its users and its metrics. It
// names the store in every error.
//
// On a reload the old configuration is cleaned up while its requests are still
// running, so the store closes when the last of its users leaves, not before.
type sharedStore struct {
	dedupe.Store
	kind      string
	flights   flights
	metrics   *metrics
	durations labelled[prometheus.Observer] // by operation

	mu      sync.Mutex
	users   int
	closing bool
}

// enter counts a user in, one per request. It returns false once the store is
// closed.
func (s *sharedStore) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing && s.users == 0 {
		return false
	}
	s.users++
	work.Add(1)
	return true
}

// leave counts a user out; the last one closes a store that nobody configures
// any more.
func (s *sharedStore) leave() {
	defer work.Done()
	s.mu.Lock()
	s.users--
	last := s.closing && s.users == 0
	s.mu.Unlock()
	if last {
		_ = s.Close()
	}
}

// Destruct implements caddy.Destructor.
func (s *sharedStore) Destruct() error {
	s.mu.Lock()
	s.closing = true
	idle := s.users == 0
	s.mu.Unlock()
	if idle {
		return s.Close()
	}
	return nil
}

// background runs work that its request need not wait for. It must be called by a user
// of the store, and the work is itself a user.
func (s *sharedStore) background(do func(ctx context.Context)) {
	if !s.enter() {
		return
	}
	go func() {
		defer s.leave()
		do(background)
	}()
}

// background is the context of work that outlives its request. It ends shortly after the
// process starts to exit.
var background, endBackground = context.WithCancel(context.Background())

// observe measures one operation, and names it in its error.
func (s *sharedStore) observe(op string, start time.Time, err error) error {
	s.duration(op).Observe(time.Since(start).Seconds())
	if err != nil {
		s.metrics.storeErrors.WithLabelValues(s.kind, op).Inc()
	}
	return s.named(op, err)
}

// named adds the store and the operation to an error. Stores themselves do not.
func (s *sharedStore) named(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s: %w", s.kind, op, err)
}

func (s *sharedStore) duration(op string) prometheus.Observer {
	return s.durations.get(op, func(label string) prometheus.Observer {
		return s.metrics.storeDuration.WithLabelValues(s.kind, label)
	})
}

func (s *sharedStore) countCommitRetry() {
	s.metrics.commitRetries.WithLabelValues(s.kind).Inc()
}

// Claim implements dedupe.Store.
func (s *sharedStore) Claim(ctx context.Context, event dedupe.Event, token dedupe.Token, lease time.Duration) (dedupe.Answer, error) {
	start := time.Now()
	answer, err := s.Store.Claim(ctx, event, token, lease)
	return answer, s.observe("claim", start, err)
}

// Renew implements dedupe.Store.
func (s *sharedStore) Renew(ctx context.Context, event dedupe.Event, token dedupe.Token, lease time.Duration) error {
	start := time.Now()
	return s.observe("renew", start, s.Store.Renew(ctx, event, token, lease))
}

// Commit implements dedupe.Store.
func (s *sharedStore) Commit(ctx context.Context, event dedupe.Event, success dedupe.Success, ttl time.Duration) error {
	start := time.Now()
	return s.observe("commit", start, s.Store.Commit(ctx, event, success, ttl))
}

// Release implements dedupe.Store.
func (s *sharedStore) Release(ctx context.Context, event dedupe.Event, token dedupe.Token) error {
	start := time.Now()
	return s.observe("release", start, s.Store.Release(ctx, event, token))
}

// Lookup implements dedupe.Store. Only an operator calls it, so it is not measured.
func (s *sharedStore) Lookup(ctx context.Context, key dedupe.Key) (dedupe.Record, error) {
	record, err := s.Store.Lookup(ctx, key)
	return record, s.named("lookup", err)
}

// Forget implements dedupe.Store. Only an operator calls it, so it is not measured.
func (s *sharedStore) Forget(ctx context.Context, id dedupe.Key) (dedupe.Record, error) {
	record, err := s.Store.Forget(ctx, id)
	return record, s.named("forget", err)
}

// Close implements dedupe.Store.
func (s *sharedStore) Close() error { return s.named("close", s.Store.Close()) }

// work counts the guard's work in progress over all stores: requests, and what
// goes on after their sender has hung up or got its answer.
var work workGroup

// workGroup is a sync.WaitGroup that one can stop waiting for, and that may be
// added to while somebody waits.
type workGroup struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n falls to 0; nil while nobody waits
}

func (g *workGroup) Add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n += n
	if g.n == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

func (g *workGroup) Done() { g.Add(-1) }

// Wait returns when there is no work, or the context ends: then false.
func (g *workGroup) Wait(ctx context.Context) bool {
	g.mu.Lock()
	if g.n == 0 {
		g.mu.Unlock()
		return true
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
		return true
	case <-ctx.Done():
		return false
	}
}
