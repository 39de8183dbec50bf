package disk_test

import (
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/disk"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
)

// openDisk opens a store, and closes it when the test ends.
func openDisk(t *testing.T, o disk.Options) *disk.Store {
	t.Helper()
	s, err := disk.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeDisk(t, s) })
	return s
}

func closeDisk(t *testing.T, s *disk.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestDisk(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]disk.Options{
		"as it is":                     {},
		"checkpoints between steps":    disk.Options{}.WithCheckpoints(1),
		"checkpoints and new segments": disk.Options{}.WithCheckpoints(5).WithSegments(4096),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queuetest.Run(t, func(t *testing.T) queuetest.Bench {
				clock := queuetest.NewClock()
				o := o
				o.Dir, o.Now = t.TempDir(), clock.Now
				s := openDisk(t, o)
				return queuetest.Bench{
					Open:    func(*testing.T) inbox.Store { return s },
					Advance: func(_ *testing.T, d time.Duration) { clock.Advance(d) },
					Damage:  func(t *testing.T, name string, k inbox.Key) { s.Damage(t, name, k) },
				}
			})
		})
	}
}

// While the database takes long, what comes in is slowed down, and not stopped until there is
// four times what a checkpoint begins with.
func TestASlowCheckpointSlowsDown(t *testing.T) {
	t.Parallel()
	const bound = 10
	begun, held := make(chan struct{}, 1), make(chan struct{})
	o := disk.Options{Dir: t.TempDir()}.WithCheckpoints(bound).WithHooks(func() {
		select {
		case begun <- struct{}{}:
		default:
		}
		<-held
	}, nil)
	s := openDisk(t, o)
	let := sync.OnceFunc(func() { close(held) })
	t.Cleanup(let)
	q := queueOf(t, s, inbox.Options{})
	put := func(n int) {
		if a, err := q.Put(t.Context(), eventOf(n, 10)); a != inbox.Accepted || err != nil {
			t.Error(a, err)
		}
	}
	for n := range bound {
		put(n)
	}
	<-begun
	// None of these needs the end of the checkpoint. The last one is the first that the writer
	// waits behind.
	for n := range 4 * bound {
		put(bound + n)
	}
	if dirty := s.Dirty(); dirty != 4*bound {
		t.Errorf("%d events wait for the checkpoint, want %d", dirty, 4*bound)
	}
	last := make(chan struct{})
	go func() { put(5 * bound); close(last) }()
	select {
	case <-last:
		t.Error("nothing bounds what waits for a checkpoint")
	case <-time.After(100 * time.Millisecond): // it waits
	}
	let()
	<-last
}
