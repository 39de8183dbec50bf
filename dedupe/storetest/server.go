package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// Server is the process behind a store.
type Server interface {
	Freeze() // connections stay, nothing answers
	Thaw()
	Stop()
	Start()
}

// ServerBench is a Bench whose data is in another process.
type ServerBench struct {
	Bench
	Server Server
	// Timeout is the store's deadline for one step, as given to open.
	Timeout time.Duration
}

const (
	// step is the store's deadline where a test is about deadlines.
	step = 500 * time.Millisecond
	// patient is the deadline where it is not, on busy machines.
	patient = time.Minute
	// slack is what may be added to a deadline.
	slack = 500 * time.Millisecond
	// recovery is how soon a store must work once its server answers again.
	recovery = time.Minute
	// crowd is more callers at once than a small pool has connections.
	crowd = 48
)

// RunServer runs the tests for stores with a server: the one deadline, and the recovery
// without a restart. It calls open with the deadline for one step.
func RunServer(t *testing.T, open func(t *testing.T, timeout time.Duration) ServerBench) {
	for name, test := range map[string]struct {
		run     func(*testing.T, ServerBench)
		timeout time.Duration
	}{
		"frozen server costs one deadline, then all is well":  {frozen, step},
		"frozen server costs a new gateway one deadline too":  {frozenAtFirst, step},
		"frozen server costs a crowd one deadline too":        {frozenCrowd, step},
		"caller's own deadline and hang-up are kept":          {callersDeadline, step},
		"stopped server costs one deadline, then all is well": {stopped, step},
		"restart between two steps is not noticed":            {restarted, patient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t, test.timeout))
		})
	}
}

func frozen(t *testing.T, b ServerBench) {
	g := b.gateway(t)
	finished := b.finish(g)

	b.Server.Freeze()
	b.allFailInTime(t, g)
	b.Server.Thaw()
	b.recovers(t, g)
	b.remembers(g, finished)
}

func frozenAtFirst(t *testing.T, b ServerBench) {
	b.Server.Freeze()
	g := b.gateway(t)
	b.allFailInTime(t, g)
	b.Server.Thaw()
	b.recovers(t, g)
}

func frozenCrowd(t *testing.T, b ServerBench) {
	g := b.gateway(t)
	finished := b.finish(g)
	b.Server.Freeze()
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			b.failsInTime(t, "claim", func() error {
				_, err := g.Claim(t.Context(), event(), dedupe.NewToken(), long)
				return err
			})
		})
	}
	all.Wait()
	b.Server.Thaw()
	b.recovers(t, g)
	b.remembers(g, finished)
}

// callersDeadline also checks that a command given up half-way leaves no reply behind
// for the next one on its connection.
func callersDeadline(t *testing.T, b ServerBench) {
	g := b.gateway(t)
	finished := b.finish(g)
	b.Server.Freeze()

	early, cancel := context.WithTimeout(t.Context(), b.Timeout/4)
	defer cancel()
	took := Took(func() {
		if _, err := g.Lookup(early, finished[0].ID); err == nil {
			t.Error("a frozen server answered")
		}
	})
	if took > b.Timeout/4+slack {
		t.Errorf("took %s with %s allowed", took, b.Timeout/4)
	}

	hungUp, hangUp := context.WithCancel(t.Context())
	time.AfterFunc(b.Timeout/4, hangUp)
	b.failsInTime(t, "lookup", func() error {
		_, err := g.Lookup(hungUp, finished[1].ID)
		return err
	})
	b.Server.Thaw()
	b.recovers(t, g)
	b.remembers(g, finished)
}

func stopped(t *testing.T, b ServerBench) {
	g := b.gateway(t)
	b.finish(g)
	b.Server.Stop()
	for range 5 {
		b.allFailInTime(t, g)
	}
	b.Server.Start()
	b.recovers(t, g)
}

// restarted has a pool full of connections to a process that has ended.
func restarted(t *testing.T, b ServerBench) {
	g := b.gateway(t)
	settle := func() {
		ev := event()
		if a, err := g.Claim(t.Context(), ev, dedupe.NewToken(), long); err != nil || a.State != dedupe.Claimed {
			t.Errorf("claim: %+v, %v", a, err)
		}
		if err := g.Commit(t.Context(), ev, dedupe.Success{Status: 200}, long); err != nil {
			t.Errorf("commit: %v", err)
		}
	}
	together := func() {
		var all sync.WaitGroup
		for range crowd {
			all.Go(settle)
		}
		all.Wait()
	}
	together()
	b.Server.Stop()
	b.Server.Start()
	// A single caller meets one dead connection after the other.
	settle()
	settle()
	together()
}

// insistent is a store whose server is well. It does each step until it succeeds: a busy
// machine may make one longer than the deadline.
type insistent struct{ dedupe.Store }

func (s insistent) Claim(ctx context.Context, ev dedupe.Event, tok dedupe.Token, lease time.Duration) (a dedupe.Answer, err error) {
	err = again(recovery, func() (err error) { a, err = s.Store.Claim(ctx, ev, tok, lease); return err })
	return a, err
}

func (s insistent) Commit(ctx context.Context, ev dedupe.Event, success dedupe.Success, ttl time.Duration) error {
	return again(recovery, func() error { return s.Store.Commit(ctx, ev, success, ttl) })
}

func (s insistent) Lookup(ctx context.Context, k dedupe.Key) (rec dedupe.Record, err error) {
	err = again(recovery, func() (err error) { rec, err = s.Store.Lookup(ctx, k); return err })
	return rec, err
}

// insists is the gateway while its server is well.
func (g gateway) insists() gateway { return gateway{g.t, insistent{g.Store}} }

// finish commits some events and returns them.
func (b ServerBench) finish(g gateway) []dedupe.Event {
	g.t.Helper()
	g = g.insists()
	events := make([]dedupe.Event, 8)
	for i := range events {
		events[i] = event()
		g.commit(events[i], 200+i, long)
	}
	return events
}

// remembers checks that each of the events of finish has its own answer.
func (b ServerBench) remembers(g gateway, events []dedupe.Event) {
	g.t.Helper()
	g = g.insists()
	for i, ev := range events {
		g.want(g.claim(ev, dedupe.NewToken(), long), dedupe.Answer{State: dedupe.Done, Status: 200 + i, ByContent: true})
	}
}

// allFailInTime makes every call that reaches the server.
func (b ServerBench) allFailInTime(t *testing.T, g gateway) {
	t.Helper()
	for name, call := range operations(event()) {
		b.failsInTime(t, name, func() error { return call(t.Context(), g) })
	}
}

// failsInTime may be called from any goroutine.
func (b ServerBench) failsInTime(t *testing.T, name string, call func() error) {
	t.Helper()
	took := Took(func() {
		if err := call(); err == nil {
			t.Errorf("%s: no error from a server that cannot answer", name)
		}
	})
	if took > b.Timeout+slack {
		t.Errorf("%s: took %s with %s allowed", name, took, b.Timeout)
	}
}

// Took returns how long call takes, less the time for which this process was not
// scheduled. On a machine that is busy with other tests, that can be seconds.
func Took(call func()) time.Duration {
	const tick = 5 * time.Millisecond
	done, stalled := make(chan struct{}), make(chan time.Duration)
	go func() {
		var late time.Duration
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-done:
				stalled <- late + max(0, time.Since(last)-tick)
				return
			case <-time.After(tick):
				late += time.Since(last) - tick
			}
		}
	}()
	begin := time.Now()
	call()
	took := time.Since(begin)
	close(done)
	return took - <-stalled
}

// again does a step until it succeeds, or the time is over.
func again(limit time.Duration, step func() error) error {
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		if err := step(); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// recovers waits until a whole event goes through.
func (b ServerBench) recovers(t *testing.T, g gateway) {
	t.Helper()
	g = g.insists()
	ev := event()
	g.claimed(ev, dedupe.NewToken(), long)
	g.commit(ev, 200, long)
	g.states(map[dedupe.Key]dedupe.State{ev.Content: dedupe.Done, ev.ID: dedupe.Done})
}
