package queuetest_test

import (
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
)

// The suite asks for nothing that cannot be had.
func TestTheModelPasses(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) queuetest.Bench {
		clock := queuetest.NewClock()
		m := queuetest.NewModel(clock.Now)
		t.Cleanup(func() { _ = m.Close() })
		return queuetest.Bench{
			Open:    func(*testing.T) inbox.Store { return m },
			Advance: func(_ *testing.T, d time.Duration) { clock.Advance(d) },
			Damage:  func(_ *testing.T, name string, k inbox.Key) { m.Damage(name, k) },
		}
	})
}
