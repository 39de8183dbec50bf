package dedupe_test

import (
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/storetest"
)

func TestDisk(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Bench {
		c := newClock()
		d := openDisk(t, t.TempDir(), c)
		const short = time.Second
		return storetest.Bench{
			Open:  func(*testing.T) dedupe.Store { return d },
			Short: short,
			Lapse: func(*testing.T, ...dedupe.Key) { c.Advance(short) },
		}
	})
}

// openDisk opens a store that the test's end closes.
func openDisk(t *testing.T, dir string, c *clock) *dedupe.Disk {
	t.Helper()
	d, err := dedupe.OpenDisk(dedupe.DiskOptions{Dir: dir, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}
