// Package keys fetches the public keys of senders that publish them, and keeps them: in
// memory for as long as the publisher says, and in Caddy's storage across restarts.
//
// Where keys come from is the configuration's to say. Nothing in a request names a URL.
package keys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

const (
	// lookEvery is how often a key that no set holds has the set fetched again. Anyone can
	// make IDs of keys up.
	lookEvery = time.Minute
	// retryEvery is how often it is tried while the publisher does not answer.
	retryEvery = 10 * time.Second
)

// limits are the longest that one fetch takes, and the longest that a request waits for it.
type limits struct{ fetch, wait time.Duration }

// usual are short: a sender wants its answer within seconds.
var usual = limits{fetch: 10 * time.Second, wait: 5 * time.Second}

// ErrJustLooked means that the keys were fetched again less than a minute ago for the sake
// of a key that they did not hold.
var ErrJustLooked = errors.New("they were fetched for an unknown key less than a minute ago, and are again after that minute")

// Source is a set of keys that are fetched together, such as those at one URL. It is safe for
// concurrent use.
type Source struct {
	title  string
	fetch  Fetch
	store  Store
	parse  func(document []byte) ([]signature.Secret, error)
	logger *zap.Logger
	now    func() time.Time
	limits limits

	held atomic.Pointer[set] // nil until there is one

	mu      sync.Mutex
	ctx     context.Context // of fetches; nil until Start
	flight  *flight         // the fetch that is under way
	err     error           // of the last one
	retryAt time.Time       // while the last one failed
	looked  time.Time       // the last one for an unknown key
	read    bool            // the stored set has been read
}

// set is what was fetched.
type set struct {
	keys    []signature.Secret
	fetched time.Time
	until   time.Time // when it is to be fetched again
}

// fresh reports whether there is a set, and it is in its time. A clock that was set back ends it
// too.
func (s *set) fresh(now time.Time) bool {
	return s != nil && now.Before(s.until) && !now.Before(s.fetched.Add(-maxFresh))
}

// flight is one fetch, which all who need it wait for.
type flight struct {
	done chan struct{}
	err  error
}

// Options are what a Source is made of.
type Options struct {
	// Title identifies the keys in logs and in the store: their URL.
	Title  string
	Fetch  Fetch
	Store  Store // nil: none
	Parse  func(document []byte) ([]signature.Secret, error)
	Logger *zap.Logger
}

// New makes a Source. It fetches nothing.
func New(o Options) *Source {
	return &Source{
		title: o.Title, fetch: o.Fetch, store: o.Store, parse: o.Parse,
		logger: o.Logger.With(zap.String("keys", o.Title)), now: time.Now, limits: usual,
	}
}

// Start begins to fetch the keys, in the background. ctx ends all fetches.
func (s *Source) Start(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx = ctx
	s.begin()
}

// Keys are the keys in force. Once their time is over, and before they are there at all,
// the caller waits for them. Those that were there before stay in force while the
// publisher does not answer.
func (s *Source) Keys() ([]signature.Secret, error) {
	now := s.now()
	if held := s.held.Load(); held.fresh(now) {
		return held.keys, nil
	}
	s.mu.Lock()
	flight, err := s.flight, s.err
	// A fetch may have ended meanwhile.
	if flight == nil && !now.Before(s.retryAt) && !s.held.Load().fresh(now) {
		flight = s.begin()
	}
	s.mu.Unlock()
	if flight != nil {
		err = s.await(flight)
	}
	if held := s.held.Load(); held != nil {
		return held.keys, nil
	}
	return nil, s.unavailable(err)
}

// Look fetches the keys again, as a key may be new. It does so once a minute; in between
// the error is [ErrJustLooked]. The keys are those in force, unless they are the ones that
// were tried, which Keys returned: with an error they are what other requests had fetched
// meanwhile, and the error is for whoever tries those in vain too.
func (s *Source) Look(tried []signature.Secret) ([]signature.Secret, error) {
	err := s.lookAgain()
	if err != nil {
		err = s.unavailable(err)
	}
	held := s.held.Load()
	if held == nil || len(held.keys) == len(tried) && (len(tried) == 0 || &held.keys[0] == &tried[0]) {
		return nil, err
	}
	return held.keys, err
}

// lookAgain waits for a fetch that has begun since.
func (s *Source) lookAgain() error {
	s.mu.Lock()
	before := s.flight
	s.mu.Unlock()
	if before != nil {
		// It may have been answered before the key was there.
		if err := s.await(before); err != nil {
			return err
		}
	}
	flight, err := s.look()
	if err != nil {
		return err
	}
	return s.await(flight)
}

// look starts a fetch for an unknown key, or joins one that has begun since.
func (s *Source) look() (*flight, error) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.flight != nil:
		return s.flight, nil
	case now.Before(s.retryAt):
		return nil, s.err
	case now.Before(s.looked.Add(lookEvery)) && !now.Before(s.looked):
		return nil, ErrJustLooked
	}
	s.looked = now
	return s.begin(), nil
}

// due reports whether there are no keys yet, and whoever asks for them has them fetched.
func (s *Source) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held.Load() == nil && s.flight == nil && !now.Before(s.retryAt)
}

func (s *Source) unavailable(err error) error { return fmt.Errorf("the keys at %s: %w", s.title, err) }

// await waits for a fetch, but not for long.
func (s *Source) await(f *flight) error {
	timer := time.NewTimer(s.limits.wait)
	defer timer.Stop()
	select {
	case <-f.done:
		return f.err
	case <-timer.C:
		return errors.New("their publisher has not answered yet")
	}
}

// begin starts a fetch, unless one is under way. The caller holds the mutex.
func (s *Source) begin() *flight {
	if s.flight != nil {
		return s.flight
	}
	ctx := s.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	f := &flight{done: make(chan struct{})}
	s.flight = f
	go func() {
		ctx, cancel := context.WithTimeout(ctx, s.limits.fetch)
		defer cancel()
		f.err = s.refresh(ctx)
		s.end(f)
	}()
	return f
}

// end records how a fetch went, says so where that is new, and lets those go on who wait for
// it.
func (s *Source) end(f *flight) {
	defer close(f.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.err
	s.flight, s.err, s.retryAt = nil, f.err, time.Time{}
	unknown := errors.Is(f.err, ErrUnknownKey)
	switch {
	case unknown:
		s.retryAt = s.now().Add(lookEvery)
	case f.err != nil:
		s.retryAt = s.now().Add(retryEvery)
	}
	switch {
	case errors.Is(f.err, context.Canceled): // the configuration is gone
	case unknown: // anyone can make names up
	case f.err != nil && (before == nil || before.Error() != f.err.Error()):
		message := "the sender's keys cannot be fetched: requests are answered with 503 until they can"
		if s.held.Load() != nil {
			message = "the sender's keys cannot be fetched again: those before stay in force"
		}
		s.logger.Warn(message, zap.Error(f.err))
	case f.err == nil && before != nil:
		s.logger.Info("the sender's keys can be fetched again")
	}
}

// refresh reads the set that an earlier process kept, once, and fetches it unless that is
// still in its time.
func (s *Source) refresh(ctx context.Context) error {
	if !s.read {
		s.read = true // fetches come one after the other
		s.recall(ctx)
		if s.held.Load().fresh(s.now()) {
			return nil
		}
	}
	document, lifetime, err := s.fetch(ctx)
	var keys []signature.Secret
	if err == nil {
		keys, err = s.parse(document)
	}
	if errors.Is(err, ErrUnknownKey) && s.held.Swap(nil) != nil {
		s.logger.Warn("the sender has withdrawn a key")
		s.forget(ctx)
	}
	if err != nil {
		return err
	}
	now := s.now()
	fetched := &set{keys: keys, fetched: now, until: now.Add(lifetime)}
	for _, key := range keys { // a certificate's key is not in force for longer
		if !key.Until.IsZero() && key.Until.Before(fetched.until) {
			fetched.until = key.Until
		}
	}
	s.held.Store(fetched)
	s.remember(ctx, document, fetched)
	return nil
}
