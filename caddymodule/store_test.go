package caddymodule

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/memory"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed/counted"
)

func shared() (*sharedStore, *fakeStore) {
	fake := newFakeStore()
	return newSharedStore(fake, "fake", sharedMetrics()), fake
}

func wantClosed(t *testing.T, s *fakeStore, times int) {
	t.Helper()
	if n := s.count("close"); n != times {
		t.Errorf("closed %d times, want %d", n, times)
	}
}

func TestAStoreClosesWhenItsLastUserLeaves(t *testing.T) {
	s, fake := shared()
	for range 3 {
		if !s.enter() {
			t.Fatal("an open store turned a user away")
		}
	}
	s.leave()
	if err := s.Destruct(); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, fake, 0)
	if !s.enter() {
		t.Error("a store that is still used turned a user away")
	}
	s.leave()
	s.leave()
	wantClosed(t, fake, 0)
	s.leave()
	wantClosed(t, fake, 1)
	if s.enter() {
		t.Error("a closed store let a user in")
	}
	wantClosed(t, fake, 1)
}

func TestAnIdleStoreClosesAtOnce(t *testing.T) {
	s, fake := shared()
	if err := s.Destruct(); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, fake, 1)
	if s.enter() {
		t.Error("a closed store let a user in")
	}
	s.background(func(context.Context) { t.Error("work was begun on a closed store") })
}

func TestBackgroundWorkIsAUser(t *testing.T) {
	s, fake := shared()
	s.enter()
	run, ran := make(chan struct{}), make(chan struct{})
	s.background(func(ctx context.Context) {
		defer close(ran)
		<-run
		if err := ctx.Err(); err != nil {
			t.Error(err)
		}
		wantClosed(t, fake, 0)
	})
	s.leave()
	_ = s.Destruct()
	wantClosed(t, fake, 0)
	close(run)
	<-ran
	if !work.Wait(t.Context()) {
		t.Fatal("the work does not end")
	}
	wantClosed(t, fake, 1)
}

func TestAStoreClosesOnceUnderManyUsers(t *testing.T) {
	s, fake := shared()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if s.enter() {
				if fake.count("close") > 0 {
					t.Error("a user is in a closed store")
				}
				s.leave()
			}
		})
	}
	wg.Go(func() { _ = s.Destruct() })
	wg.Wait()
	wantClosed(t, fake, 1)
}

func TestStoreOperationsAreMeasured(t *testing.T) {
	s, fake := shared()
	s.kind = "measured"
	errAway := errors.New("away")
	fake.claim = func() (dedupe.Answer, error) { return dedupe.Answer{}, errAway }
	fake.renew = func() error { return errAway }
	fake.commit = func(int, time.Duration) error { return errAway }
	fake.release = func(context.Context) error { return errAway }
	before := counted.Sum(t, s.metrics.storeDuration)
	ctx, event, token := t.Context(), idOnly("1"), dedupe.NewToken()
	for op, call := range map[string]func() error{
		"claim":   func() error { _, err := s.Claim(ctx, event, token, time.Second); return err },
		"renew":   func() error { return s.Renew(ctx, event, token, time.Second) },
		"commit":  func() error { return s.Commit(ctx, event, dedupe.Success{Status: 200}, time.Second) },
		"release": func() error { return s.Release(ctx, event, token) },
	} {
		failed := s.metrics.storeErrors.WithLabelValues("measured", op)
		before := counted.Sum(t, failed)
		if err := call(); !errors.Is(err, errAway) {
			t.Errorf("%s: %v", op, err)
		}
		if n := counted.Sum(t, failed) - before; n != 1 {
			t.Errorf("%s: %v errors counted", op, n)
		}
	}
	if n := counted.Sum(t, s.metrics.storeDuration) - before; n != 4 {
		t.Errorf("%v durations", n)
	}
}

// A gateway that stood still for longer than its lease is told so by a store that is well.
func TestALostClaimIsNoErrorOfTheStore(t *testing.T) {
	s := newSharedStore(memory.New(memory.Options{}), "well", sharedMetrics())
	failed := s.metrics.storeErrors.WithLabelValues("well", "renew")
	before := counted.Sum(t, failed)
	if err := s.Renew(t.Context(), idOnly("1"), dedupe.NewToken(), time.Second); !errors.Is(err, dedupe.ErrLost) {
		t.Fatal(err)
	}
	if n := counted.Sum(t, failed) - before; n != 0 {
		t.Errorf("%v errors counted", n)
	}
}

// Logs and the admin API show these errors, and nobody else says which store it was.
func TestStoreErrorsNameTheStoreAndTheStepOnce(t *testing.T) {
	inMemory := memory.New(memory.Options{})
	s := newSharedStore(inMemory, "memory", sharedMetrics())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, event, token := t.Context(), idOnly("1"), dedupe.NewToken()
	for op, call := range map[string]func() error{
		"claim":   func() error { _, err := s.Claim(ctx, event, token, time.Second); return err },
		"renew":   func() error { return s.Renew(ctx, event, token, time.Second) },
		"commit":  func() error { return s.Commit(ctx, event, dedupe.Success{Status: 200}, time.Second) },
		"release": func() error { return s.Release(ctx, event, token) },
		"lookup":  func() error { _, err := s.Lookup(ctx, event.ID); return err },
		"forget":  func() error { _, err := s.Forget(ctx, event.ID); return err },
	} {
		err := call()
		if want := "memory: " + op + ": " + dedupe.ErrClosed.Error(); !errors.Is(err, dedupe.ErrClosed) || err.Error() != want {
			t.Errorf("error is %q, want %q", err, want)
		}
	}
}

func TestWorkGroupWaitsUntilThereIsNoWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g workGroup
		if !g.Wait(t.Context()) {
			t.Error("waits for nothing")
		}
		g.Add(1)
		waited := make(chan bool, 3)
		for range 2 {
			go func() { waited <- g.Wait(t.Context()) }()
		}
		synctest.Wait()
		g.Add(1) // while somebody waits
		g.Done()
		synctest.Wait()
		if len(waited) > 0 {
			t.Fatal("did not wait for what is left")
		}
		g.Done()
		synctest.Wait()
		if len(waited) != 2 || !<-waited || !<-waited {
			t.Error("not every waiter learned of the end")
		}
		g.Add(1) // and once more
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if g.Wait(ctx) {
			t.Error("the end of waiting was taken for the end of the work")
		}
		g.Done()
		if !g.Wait(t.Context()) {
			t.Error("waits for nothing")
		}
	})
}
