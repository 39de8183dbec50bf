package disk_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/disk"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
)

// BenchmarkDisk is what an event costs: to be put, and to be put, taken and settled.
func BenchmarkDisk(b *testing.B) {
	envelope := make([]byte, 2000)
	for _, callers := range []int{1, 16, 128} {
		b.Run(fmt.Sprintf("put/callers=%d", callers), func(b *testing.B) {
			q := benchQueue(b)
			spread(b, callers, func(n int) error {
				_, err := q.Put(b.Context(), inbox.Event{Key: keyOf(n), ID: "evt_1234567890", Envelope: envelope})
				return err
			})
		})
		b.Run(fmt.Sprintf("deliver/callers=%d", callers), func(b *testing.B) {
			q := benchQueue(b)
			spread(b, callers, func(n int) error {
				if _, err := q.Put(b.Context(), inbox.Event{Key: keyOf(n), ID: "evt_1234567890", Envelope: envelope}); err != nil {
					return err
				}
				batch, err := q.Take(b.Context(), 1, time.Minute)
				for _, d := range batch.Deliveries {
					err = q.Settle(b.Context(), d.Key, batch.Token, inbox.Settlement{Outcome: inbox.Success, Attempt: inbox.Attempt{Status: 200}})
				}
				return err
			})
		})
	}
}

func benchQueue(b *testing.B) inbox.Queue {
	s, err := disk.Open(disk.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	q, err := s.Queue(name, inbox.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return q
}

// spread runs do b.N times, from a number of callers.
func spread(b *testing.B, callers int, do func(n int) error) {
	b.ReportAllocs()
	var all sync.WaitGroup
	var next atomic.Int64
	for range callers {
		all.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := do(int(n)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// BenchmarkWaiting is the memory that waiting events take, and how long it takes to open a
// store that has them.
func BenchmarkWaiting(b *testing.B) {
	const many = 100_000
	for b.Loop() {
		dir := b.TempDir()
		s, err := disk.Open(disk.Options{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		before := heap()
		q, err := s.Queue(name, inbox.Options{})
		if err != nil {
			b.Fatal(err)
		}
		envelope := make([]byte, 1000)
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				for n := i; n < many; n += 100 {
					ev := inbox.Event{Key: keyOf(n), ID: fmt.Sprintf("evt_%030d", n), Type: "job.completed", Scope: "acme", Envelope: envelope}
					if _, err := q.Put(b.Context(), ev); err != nil {
						b.Error(err)
					}
				}
			})
		}
		all.Wait()
		b.ReportMetric(float64(heap()-before)/many, "B/waiting")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if s, err = disk.Open(disk.Options{Dir: dir}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms/open")
		b.ReportMetric(float64(heap()-before)/many, "B/reopened")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

var (
	rate = flag.Int("rate", 6000, "how many events a second BenchmarkSteady puts")
	kept = flag.Int("kept", 700_000, "how many it puts")
)

// BenchmarkSteady is how long a Put takes, at most, while events come at a rate, are delivered
// at once, and are kept when they are finished.
func BenchmarkSteady(b *testing.B) {
	for b.Loop() {
		q := benchQueue(b)
		ctx, stop := context.WithCancel(b.Context())
		var all sync.WaitGroup
		var finished atomic.Int64
		for range 4 {
			all.Go(func() {
				for ctx.Err() == nil {
					n, err := deliver(ctx, q)
					if err != nil && ctx.Err() == nil {
						b.Error(err)
						return
					}
					if finished.Add(int64(n)); n == 0 {
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
		took, start := putSteadily(b, q), time.Now()
		for finished.Load() < int64(*kept) && !b.Failed() {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s/behind")
		stop()
		all.Wait()
		slices.Sort(took)
		ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		b.ReportMetric(ms(took[len(took)-1]), "ms/longest-put")
		b.ReportMetric(ms(took[len(took)*999/1000]), "ms/p99.9-put")
		b.ReportMetric(ms(took[len(took)/2]), "ms/median-put")
	}
}

// deliver takes some events and finishes them.
func deliver(ctx context.Context, q inbox.Queue) (int, error) {
	batch, err := q.Take(ctx, 16, time.Minute)
	if err != nil {
		return 0, err
	}
	var all sync.WaitGroup
	errs := make([]error, len(batch.Deliveries))
	for i, d := range batch.Deliveries {
		all.Go(func() {
			errs[i] = q.Settle(ctx, d.Key, batch.Token, inbox.Settlement{Outcome: inbox.Success, Attempt: inbox.Attempt{Number: 1, At: batch.Now, Status: 200}})
		})
	}
	all.Wait()
	return len(batch.Deliveries), errors.Join(errs...)
}

// putSteadily puts events, each at its time, and returns how long each took.
func putSteadily(b *testing.B, q inbox.Queue) []time.Duration {
	var all sync.WaitGroup
	var next atomic.Int64
	took := make([]time.Duration, *kept)
	begun := time.Now()
	for range 256 {
		envelope := make([]byte, 2000)
		all.Go(func() {
			for n := int(next.Add(1)) - 1; n < len(took) && !b.Failed(); n = int(next.Add(1)) - 1 {
				time.Sleep(time.Until(begun.Add(time.Duration(n) * time.Second / time.Duration(*rate))))
				id := fmt.Sprintf("evt_%024d", n)
				sum := sha256.Sum256([]byte(id)) // keys are digests: their events are all over the database
				ev := inbox.Event{Key: inbox.Key(sum[:16]), Scope: "stripe", ID: id, Type: "payment_intent.succeeded", Envelope: envelope}
				start := time.Now()
				if _, err := q.Put(b.Context(), ev); err != nil {
					b.Error(err)
				}
				took[n] = time.Since(start)
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(len(took))/time.Since(begun).Seconds(), "puts/s")
	return took
}

var events = flag.Int("events", 100_000, "how many events BenchmarkPages has")

// BenchmarkPages is how long a page takes, with many events behind it.
func BenchmarkPages(b *testing.B) { queuetest.BenchPages(b, benchQueue(b), *events) }

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
