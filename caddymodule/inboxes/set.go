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
}

// Set has the inboxes of one configuration.
type Set struct {
	mu     sync.Mutex
	all    []*Inbox
	cancel context.CancelFunc // ends the workers; nil before Start
}

// Add adds an inbox. Two of one name would be one inbox with two routes.
func (s *Set) Add(in *Inbox) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.all, func(other *Inbox) bool { return other.Name == in.Name }) {
		return fmt.Errorf("inbox: two guards have an inbox %q: name them apart: inbox <name> { … }", in.Name)
	}
	s.all = append(s.all, in)
	return nil
}

// Empty reports whether there is no inbox.
func (s *Set) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all) == 0
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
		queue, err := in.open(host.Store)
		if err != nil {
			return fmt.Errorf("inbox %s: %w", in.Name, err)
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
			s.lookForUnrouted(ctx, host)
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

// lookForUnrouted warns of inboxes that have events and that no guard names any more.
func (s *Set) lookForUnrouted(ctx context.Context, host Host) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		names, err := host.Store.Names(ctx)
		if err == nil {
			s.warnOfUnrouted(ctx, host, names)
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

func (s *Set) warnOfUnrouted(ctx context.Context, host Host, names []string) {
	s.mu.Lock()
	all := s.all
	s.mu.Unlock()
	for _, name := range names {
		if slices.ContainsFunc(all, func(in *Inbox) bool { return in.Name == name }) {
			continue
		}
		queue, err := host.Store.Queue(name, inbox.Options{})
		if err != nil {
			continue
		}
		if status, err := queue.Status(ctx); err == nil && status.Waiting()+status.Dead > 0 {
			host.Logger.Warn("unrouted events: the store has an inbox that no guard names; its events wait until one does",
				zap.String("inbox", name), zap.Int64("waiting", status.Waiting()), zap.Int64("dead", status.Dead))
		}
	}
}
