package disk_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/disk"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// hooked is a layer whose writes ask first.
type hooked struct {
	disk.Layer
	write *atomic.Pointer[func() error]
}

func (l hooked) Create(path string) (disk.File, error) {
	f, err := l.Layer.Create(path)
	return hookedFile{f, l}, err
}

func (l hooked) Open(path string) (disk.File, int64, error) {
	f, size, err := l.Layer.Open(path)
	return hookedFile{f, l}, size, err
}

type hookedFile struct {
	disk.File
	l hooked
}

func (f hookedFile) WriteAt(data []byte, at int64) (int, error) {
	if ask := f.l.write.Load(); ask != nil {
		if err := (*ask)(); err != nil {
			return 0, err
		}
	}
	return f.File.WriteAt(data, at)
}

// hookedDisk opens a store whose writes do what on says.
func hookedDisk(t *testing.T, o disk.Options) (s *disk.Store, q inbox.Queue, on func(func() error)) {
	t.Helper()
	write := new(atomic.Pointer[func() error])
	o.Dir = t.TempDir()
	s = openDisk(t, o.WithLayer(func(below disk.Layer) disk.Layer { return hooked{below, write} }))
	return s, queueOf(t, s, inbox.Options{}), func(do func() error) {
		if do == nil {
			write.Store(nil)
		} else {
			write.Store(&do)
		}
	}
}

func full() error { return errFailing }

// blocking returns what blocks writes, until it is told how they end.
func blocking() (do func() error, begun <-chan struct{}, end func(error)) {
	entered, result := make(chan struct{}, 100), make(chan struct{})
	var err error
	return func() error {
			entered <- struct{}{}
			<-result
			return err
		}, entered, func(e error) {
			err = e
			close(result)
		}
}

// A probe that the disk refuses was given to nobody, so the next one need not wait until its
// lease ends.
func TestAProbeThatIsRefusedHoldsNothing(t *testing.T) {
	t.Parallel()
	clock := queuetest.NewClock()
	_, q, on := hookedDisk(t, disk.Options{Now: clock.Now})
	ctx := t.Context()
	if _, err := q.Put(ctx, eventOf(1, 10)); err != nil {
		t.Fatal(err)
	}
	if err := q.Hold(ctx, time.Second); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Second)
	on(full)
	if _, err := q.Take(ctx, 1, lease); !errors.Is(err, errFailing) {
		t.Fatalf("take: %v, want the disk's error", err)
	}
	on(nil)
	b, err := q.Take(ctx, 1, lease)
	if err != nil || len(b.Deliveries) != 1 || !b.Probe || b.Deliveries[0].Info.Attempts != 1 {
		t.Errorf("%+v, %v; want the probe, as its first attempt", b, err)
	}
}

// What shares a batch with a write that the disk refuses is undone with it: nobody is told of
// a failure whose effect stays.
func TestABatchThatIsRefusedIsUndoneAsAWhole(t *testing.T) {
	t.Parallel()
	clock := queuetest.NewClock()
	s, q, on := hookedDisk(t, disk.Options{Now: clock.Now})
	ctx := t.Context()
	for n := range 4 {
		if _, err := q.Put(ctx, eventOf(n, 10)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := q.Take(ctx, 3, lease)
	if err != nil || len(b.Deliveries) != 3 {
		t.Fatal(b, err)
	}
	for n := range 3 {
		settlement := inbox.Settlement{Outcome: inbox.GiveUp, Reason: "age"}
		if err := q.Settle(ctx, keyOf(n), b.Token, settlement); err != nil {
			t.Fatal(err)
		}
	}
	before := see(t, q)
	block, begun, end := blocking()
	on(block)
	type outcome struct {
		what  string
		count int
		err   error
	}
	ended := make(chan outcome)
	do := func(what string, step func() (int, error)) {
		go func() {
			n, err := step()
			ended <- outcome{what, n, err}
		}()
	}
	do("put", func() (int, error) { _, err := q.Put(ctx, eventOf(10, 10)); return 0, err })
	<-begun
	steps := map[string]func() (int, error){
		"put another": func() (int, error) { a, err := q.Put(ctx, eventOf(11, 10)); return int(a), err },
		"hold":        func() (int, error) { return 0, q.Hold(ctx, time.Hour) },
		"pause":       func() (int, error) { return 0, q.Pause(ctx, true) },
		"replay":      func() (int, error) { return q.Replay(ctx, []inbox.Key{keyOf(0), keyOf(1)}, 0, 0) },
		"delete":      func() (int, error) { return q.Delete(ctx, []inbox.Key{keyOf(2)}) },
		"take":        func() (int, error) { b, err := q.Take(ctx, 1, lease); return len(b.Deliveries), err },
	}
	for what, step := range steps {
		do(what, step)
	}
	testbed.Eventually(t, patient, func() bool { return s.Waiting() == len(steps) }, "all steps to wait for the write")
	end(errFailing)
	for range len(steps) + 1 {
		if o := <-ended; !errors.Is(o.err, errFailing) || o.count != 0 {
			t.Errorf("%s: %d, %v; want the disk's error and nothing done", o.what, o.count, o.err)
		}
	}
	on(nil)
	after := see(t, q)
	if after.status.Held || after.status.Paused || len(after.records) != len(before.records) {
		t.Errorf("a refused batch has left %+v", after.status)
	}
	for k, r := range before.records {
		if after.records[k] != r {
			t.Errorf("a refused batch changed\n%s to\n%s", r, after.records[k])
		}
	}
}

// A caller that gives up while the disk hangs leaves nothing behind: what its Take would have
// been given is ready again when the lease ends, and segments go as ever.
func TestATakeThatIsGivenUpHoldsNoSegment(t *testing.T) {
	t.Parallel()
	clock := queuetest.NewClock()
	o := disk.Options{Now: clock.Now}.WithWaitBudget(200 * time.Millisecond).WithSegments(2000).WithCheckpoints(1)
	s, q, on := hookedDisk(t, o)
	ctx := t.Context()
	patiently := func(do func() error) { // the real disk may be slow, too
		t.Helper()
		testbed.Eventually(t, patient, func() bool { return do() == nil }, "the disk to take a write")
	}
	patiently(func() error { _, err := q.Put(ctx, eventOf(0, 1500)); return err })
	block, begun, end := blocking()
	on(block)
	gaveUp := make(chan error, 1)
	go func() {
		_, err := q.Take(ctx, 1, lease)
		gaveUp <- err
	}()
	<-begun
	if err := <-gaveUp; err == nil || !strings.Contains(err.Error(), "has not taken a write") {
		t.Fatalf("take: %v, want the wait to be over", err)
	}
	on(nil)
	end(nil)
	clock.Advance(lease)
	var b inbox.Batch
	patiently(func() (err error) {
		if b, err = q.Take(ctx, 1, lease); err == nil && len(b.Deliveries) == 0 {
			clock.Advance(lease)
			err = errors.New("it is leased to a caller that has gone")
		}
		return err
	})
	for n := range 10 {
		patiently(func() error { return q.Settle(ctx, keyOf(n), b.Token, inbox.Settlement{Outcome: inbox.Success}) })
		patiently(func() error { _, err := q.Put(ctx, eventOf(n+1, 1500)); return err })
	}
	patiently(func() error { return q.Settle(ctx, keyOf(10), b.Token, inbox.Settlement{Outcome: inbox.Success}) })
	testbed.Eventually(t, patient, func() bool {
		patiently(func() error { return q.Pause(ctx, true) }) // steps, so that it is looked at
		patiently(func() error { return q.Pause(ctx, false) })
		return s.Segments() == 1
	}, "the segments of finished events to be dropped")
}
