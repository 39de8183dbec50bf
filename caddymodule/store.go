package caddymodule

import (
	"context"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// pool holds the open stores of this process, by their PoolKey.
var pool = caddy.NewUsagePool()

// sharedStore is a store together with what belongs to it for as long as it is
// open, across reloads: the flights of its events and its users.
//
// On a reload the old configuration is cleaned up while its requests are still
// running, so the store closes when the last of its users leaves, not before.
type sharedStore struct {
	measuredStore
	inboxes inbox.Store // nil where the store has none
	flights flights
	commits commits

	mu      sync.Mutex
	users   int
	closing bool
}

func newSharedStore(store dedupe.Store, kind string, m *metrics) *sharedStore {
	// From 0 on, so that the first of a kind is an increase.
	m.commitRetries.WithLabelValues(kind)
	shared := &sharedStore{measuredStore: measuredStore{Store: store, kind: kind, metrics: m}}
	if gatherer, ok := store.(dedupe.Gatherer); ok {
		shared.commits.gatherFor = gatherer.GatherFor()
	}
	for _, op := range []string{"claim", "renew", "commit", "release"} {
		m.storeErrors.WithLabelValues(kind, op)
		shared.duration(op)
	}
	return shared
}

// Close closes the inboxes and then the store.
func (s *sharedStore) Close() error {
	if s.inboxes != nil {
		_ = s.inboxes.Close()
	}
	return s.measuredStore.Close()
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
