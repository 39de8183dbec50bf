package disk_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/disk"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const (
	name    = "payments"
	lease   = time.Minute
	patient = 60 * time.Second
)

func queueOf(t *testing.T, s inbox.Store, o inbox.Options) inbox.Queue {
	t.Helper()
	q, err := s.Queue(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func keyOf(n int) (k inbox.Key) {
	copy(k[:], fmt.Sprintf("event %010d", n))
	return k
}

func eventOf(n, size int) inbox.Event {
	envelope := make([]byte, size)
	for i := range envelope {
		envelope[i] = byte(n + i*i)
	}
	return inbox.Event{Key: keyOf(n), ID: fmt.Sprint(n), Scope: "acme", Type: "job.done", Envelope: envelope}
}

// everything is all that can be seen of an inbox.
type everything struct {
	status  inbox.Status
	records map[inbox.Key]string
}

func see(t *testing.T, q inbox.Queue) everything {
	t.Helper()
	s, err := q.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := everything{s, make(map[inbox.Key]string)}
	for cursor := ""; ; {
		p, err := q.Page(t.Context(), inbox.Filter{}, cursor, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range p.Events {
			r, err := q.Get(t.Context(), info.Key)
			if err != nil {
				t.Fatal(err)
			}
			all.records[info.Key] = fmt.Sprintf("%+v", r)
		}
		if cursor = p.Next; cursor == "" {
			return all
		}
	}
}

// walker does random steps on an inbox.
type walker struct {
	t      *testing.T
	rand   *rand.Rand
	clock  *queuetest.Clock
	events int
	size   int
	tokens map[inbox.Key]inbox.Token
}

func newWalker(t *testing.T, seed uint64, clock *queuetest.Clock, size int) *walker {
	return &walker{t, rand.New(rand.NewPCG(seed, 2)), clock, 0, size, make(map[inbox.Key]inbox.Token)}
}

func (w *walker) step(q inbox.Queue) {
	w.t.Helper()
	ctx := w.t.Context()
	k := keyOf(w.rand.IntN(w.events + 1))
	var err error
	w.clock.Advance(time.Duration(w.rand.IntN(20)) * time.Second)
	switch w.rand.IntN(15) {
	case 0, 1, 2, 3:
		w.events++
		_, err = q.Put(ctx, eventOf(w.events, 1+w.rand.IntN(w.size)))
	case 4, 5, 6:
		var b inbox.Batch
		b, err = q.Take(ctx, 1+w.rand.IntN(3), lease)
		for _, d := range b.Deliveries {
			w.tokens[d.Key] = b.Token
		}
	case 7, 8:
		s := inbox.Settlement{Outcome: inbox.Outcome(1 + w.rand.IntN(3)), Reason: "age", Delay: lease, Attempt: inbox.Attempt{Number: 1, Status: 500, Head: []byte("no")}}
		for k, tok := range w.tokens {
			if err = q.Settle(ctx, k, tok, s); errors.Is(err, inbox.ErrLost) {
				err = nil
			}
			delete(w.tokens, k)
			break
		}
	case 9, 12, 13, 14:
		err = q.Settle(ctx, k, inbox.Token{}, inbox.Settlement{Outcome: inbox.Success, Attempt: inbox.Attempt{Status: 200}})
	case 10:
		_, err = q.Replay(ctx, []inbox.Key{k, keyOf(w.events)}, 0, 0)
	case 11:
		if w.rand.IntN(3) == 0 {
			_, err = q.Delete(ctx, []inbox.Key{k})
		} else {
			err = q.Pause(ctx, w.rand.IntN(5) == 0)
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// After a clean end or a crash, everything is as it was, to the last attempt.
func TestEverythingIsThereAfterTheProcess(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]disk.Options{
		"all in the log":         {},
		"most in the database":   disk.Options{}.WithCheckpoints(3),
		"small segments":         disk.Options{}.WithSegments(2000),
		"small segments, steady": disk.Options{}.WithCheckpoints(3).WithSegments(2000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := queuetest.NewClock()
			o := o
			o.Dir, o.Now = t.TempDir(), clock.Now
			w := newWalker(t, 7, clock, 300)
			s := openDisk(t, o)
			options := inbox.Options{KeepBodies: true, Keep: time.Hour, KeepDead: 2 * time.Hour}
			for round := range 40 {
				q := queueOf(t, s, options)
				for range 25 {
					w.step(q)
				}
				before := see(t, q)
				if round%2 == 0 {
					s.Crash(t)
				} else {
					closeDisk(t, s)
				}
				var err error
				if s, err = disk.Open(o); err != nil {
					t.Fatal(err)
				}
				if round%2 == 1 && s.Dirty() != 0 {
					t.Fatalf("after a clean end the database lacks %d events", s.Dirty())
				}
				after := see(t, queueOf(t, s, options))
				if !reflect.DeepEqual(before, after) {
					for k, r := range before.records {
						if after.records[k] != r {
							t.Errorf("%s was\n%s, and is\n%s", k, r, after.records[k])
						}
					}
					t.Fatalf("round %d: the status was %+v, and is %+v", round, before.status, after.status)
				}
			}
			closeDisk(t, s)
		})
	}
}

// Segments go when nothing in them is kept, and those with a few survivors are copied, while
// events are put and taken.
func TestSegmentsGo(t *testing.T) {
	t.Parallel()
	clock := queuetest.NewClock()
	o := disk.Options{Dir: t.TempDir(), Now: clock.Now}.WithSegments(20_000).WithCheckpoints(10)
	s := openDisk(t, o)
	q := queueOf(t, s, inbox.Options{})
	const many = 400
	for n := range many {
		if a, err := q.Put(t.Context(), eventOf(n, 1000)); err != nil || a != inbox.Accepted {
			t.Fatal(a, err)
		}
		if n%40 == 0 {
			continue // one in two segments survives
		}
		if err := q.Settle(t.Context(), keyOf(n), inbox.Token{}, inbox.Settlement{Outcome: inbox.Success}); err != nil {
			t.Fatal(err)
		}
	}
	extra := many
	testbed.Eventually(t, patient, func() bool {
		clock.Advance(2 * time.Minute) // checkpoints are due
		extra++
		if _, err := q.Put(t.Context(), eventOf(extra, 10)); err != nil {
			t.Fatal(err)
		}
		return s.Segments() <= 3
	}, "the segments to go")
	s.Crash(t)
	s = openDisk(t, o)
	q = queueOf(t, s, inbox.Options{})
	for n := 0; n < many; n += 40 {
		r, err := q.Get(t.Context(), keyOf(n))
		if err != nil || string(r.Envelope) != string(eventOf(n, 1000).Envelope) {
			t.Fatalf("event %d survived a compaction as %+v, %v", n, r.Info, err)
		}
	}
}

// A segment without envelopes stays as long as the database does not have what it says, which
// may be longer than the checkpoint that is just ending.
func TestSegmentsStayUntilTheDatabaseHasThem(t *testing.T) {
	t.Parallel()
	held, flushed := make(chan struct{}), make(chan struct{}, 10)
	o := disk.Options{Dir: t.TempDir()}.WithSegments(1000).WithCheckpoints(3)
	s := openDisk(t, o.WithHooks(func() { <-held }, func() { flushed <- struct{}{} }))
	q := queueOf(t, s, inbox.Options{})
	for n := range 3 {
		if _, err := q.Put(t.Context(), eventOf(n, 10)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 101 {
		if err := q.Pause(t.Context(), n%2 == 0); err != nil {
			t.Fatal(err)
		}
	}
	if s.Segments() < 4 {
		t.Fatalf("there are %d segments, want some", s.Segments())
	}
	close(held)
	<-flushed
	s.Crash(t)
	s = openDisk(t, o)
	if status, err := queueOf(t, s, inbox.Options{}).Status(t.Context()); err != nil || !status.Paused || status.Ready != 3 {
		t.Errorf("after a crash the status is %+v, %v", status, err)
	}
}

// An envelope that is on its way to the disk, to be kept or copied, is waited for.
func TestGetWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	held := make(chan struct{}, 1)
	var slow atomic.Bool
	s := openDisk(t, disk.Options{Dir: t.TempDir()}.WithLayer(func(l disk.Layer) disk.Layer { return slowLayer{l, &slow, held} }))
	q := queueOf(t, s, inbox.Options{})
	slow.Store(true)
	var put sync.WaitGroup
	put.Go(func() {
		if _, err := q.Put(t.Context(), eventOf(1, 100)); err != nil {
			t.Error(err)
		}
	})
	testbed.Eventually(t, patient, func() bool {
		status, err := q.Status(t.Context())
		return err == nil && status.Ready == 1
	}, "the event to be on its way")
	got := make(chan inbox.Record, 1)
	put.Go(func() {
		r, err := q.Get(t.Context(), keyOf(1))
		if err != nil {
			t.Error(err)
		}
		got <- r
	})
	slow.Store(false)
	held <- struct{}{}
	put.Wait()
	if r := <-got; string(r.Envelope) != string(eventOf(1, 100).Envelope) {
		t.Errorf("the envelope has %d bytes, want those that were put", len(r.Envelope))
	}
}

// slowLayer holds writes back.
type slowLayer struct {
	disk.Layer
	slow *atomic.Bool
	held chan struct{}
}

func (l slowLayer) Create(path string) (disk.File, error) {
	f, err := l.Layer.Create(path)
	return slowFile{f, l}, err
}

type slowFile struct {
	disk.File
	l slowLayer
}

func (f slowFile) WriteAt(data []byte, at int64) (int, error) {
	if f.l.slow.Load() {
		<-f.l.held
	}
	return f.File.WriteAt(data, at)
}
