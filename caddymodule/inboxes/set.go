package inboxes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Host is what workers need of the app that runs them.
type Host struct {
	Store inbox.Store
	// Enter counts a user of the store in, so that it stays open until Leave; false where
	// it is closed.
	Enter func() bool
	Leave func()
	// Background is the context of work that outlives a configuration.
	Background context.Context
	Logger     *zap.Logger
	Metrics    *Metrics
}

// Set has the inboxes of one configuration.
type Set struct {
	mu     sync.Mutex
	all    []*Inbox
	stored []string           // what the store had when it was last looked at
	cancel context.CancelFunc // ends the workers; nil before Start
}

// Add adds an inbox, and returns the one that is to be used: a site with addresses in several
// servers has a copy of its guards in each of them, and all of these have one inbox. Two of one
// name with other guards would be one inbox with two routes.
func (s *Set) Add(in *Inbox) (*Inbox, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.all {
		switch {
		case other.Name != in.Name:
		case other.same == in.same:
			return other, nil
		default:
			return nil, fmt.Errorf("inbox: two guards have an inbox %q: name them apart: inbox <name> { … }", in.Name)
		}
	}
	s.all = append(s.all, in)
	return in, nil
}

// Start begins to deliver. It returns an error where the store may lose events.
func (s *Set) Start(ctx context.Context, host Host) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) > 0 {
		if checked, ok := host.Store.(inbox.Checker); ok {
			if err := checked.Check(ctx); errors.Is(err, inbox.ErrUnsafe) {
				return fmt.Errorf("inbox: %w", err)
			} else if err != nil {
				host.Logger.Warn("the inbox's store does not answer; until it does, senders get 503", zap.Error(err))
			}
		}
	}
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, in := range s.all {
		host.Metrics.begin(in.Config)
		queue, err := in.opened(host.Store)
		if err != nil {
			return fmt.Errorf("inbox %s: %w", in.Name, err)
		}
		if checked, ok := queue.(inbox.DurableChecker); ok && in.Durable {
			if err := checked.CheckDurable(ctx); err != nil {
				host.Logger.Warn("a durable inbox can acknowledge nothing as its store is; until that changes, senders get 503",
					zap.String("inbox", in.Name), zap.Error(err))
			}
		}
		if !host.Enter() {
			return inbox.ErrClosed
		}
		go func() {
			defer host.Leave()
			newWorker(in, queue, host).work(ctx)
		}()
	}
	if host.Enter() {
		go func() {
			defer host.Leave()
			s.watch(ctx, host)
		}()
	}
	return nil
}

// Stop makes the workers take nothing more. What runs goes on.
func (s *Set) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}

// watchEvery is how often the metrics look at the store.
const watchEvery = 10 * time.Second

// watch shows how all inboxes of the store stand. It warns once of each that has events and
// that no guard names any more.
func (s *Set) watch(ctx context.Context, host Host) {
	warned := make(map[string]bool)
	for {
		// Where the store does not answer, the workers log it.
		names, err := host.Store.Names(ctx)
		switch {
		case err == nil:
			s.saw(names)
		case ctx.Err() == nil:
			for _, in := range s.all {
				host.Metrics.storeFailed(in.Name, opStatus)
			}
		}
		for _, name := range names {
			queue, err := host.Store.Queue(name, inbox.Options{})
			if err != nil {
				continue
			}
			status, err := queue.Status(ctx)
			if err != nil {
				if ctx.Err() == nil {
					host.Metrics.storeFailed(name, opStatus)
				}
				continue
			}
			host.Metrics.stands(name, status)
			if s.Find(name) == nil && status.Waiting()+status.Dead > 0 && !warned[name] {
				warned[name] = true
				host.Logger.Warn("unrouted events: the store has an inbox that no guard names; its events wait until one does",
					zap.String("inbox", name), zap.Int64("waiting", status.Waiting()), zap.Int64("dead", status.Dead))
			}
		}
		select {
		case <-time.After(watchEvery):
		case <-ctx.Done():
			return
		}
	}
}

// saw notes which inboxes the store has.
func (s *Set) saw(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = names
}

// shown are the inboxes that metrics show.
func (s *Set) shown() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.Clone(s.stored)
	for _, in := range s.all {
		if !slices.Contains(names, in.Name) {
			names = append(names, in.Name)
		}
	}
	return names
}

// Find returns the inbox of the given name, or nil.
func (s *Set) Find(name string) *Inbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.all {
		if in.Name == name {
			return in
		}
	}
	return nil
}

// Names returns the names of the inboxes.
func (s *Set) Names() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.all {
		names = append(names, in.Name)
	}
	return names
}
