package disk_test

import (
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
