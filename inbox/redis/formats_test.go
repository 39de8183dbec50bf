package redis

import (
	"path/filepath"
	"testing"
	"time"

	dedupe "github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed/formats"
)

// What any released version has put into an inbox in Redis is there, and goes on.
func TestInboxesOfEveryVersionAreRead(t *testing.T) {
	formats.Each(t, func(to string) {
		server := testbed.StartRedis(t)
		q := paymentsAt(t, server, time.Time{})
		queuetest.WriteKept(t, q, to, queuetest.FillEachState(t, q))
		server.Dump(filepath.Join(to, "redis.json"))
	}, func(t *testing.T, from string) {
		server := testbed.StartRedis(t)
		server.Load(filepath.Join(from, "redis.json"))
		q := paymentsAt(t, server, queuetest.KeptAt(t, from))
		queuetest.CheckKept(t, q, from)
		queuetest.CheckDeliverable(t, q)
	})
}

// paymentsAt opens an inbox as if it were the given time by now, and the server's own where
// that is zero.
func paymentsAt(t *testing.T, server *testbed.Redis, at time.Time) inbox.Queue {
	t.Helper()
	servers, err := dedupe.New(dedupe.Options{URLs: []string{server.URL()}, Timeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = servers.Close() })
	s := New(servers)
	if !at.IsZero() {
		skew := time.Until(at)
		s.skew = func() time.Duration { return skew }
	}
	t.Cleanup(func() { _ = s.Close() })
	q, err := s.Queue("payments", inbox.Options{Keep: 24 * time.Hour, KeepBodies: true})
	if err != nil {
		t.Fatal(err)
	}
	return q
}
