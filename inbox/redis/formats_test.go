package redis

import (
	stdflag "flag" // the package has a function of that name
	"os"
	"path/filepath"
	"testing"
	"time"

	dedupe "github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

var writeFormat = stdflag.String("write-format", "", "add what this version writes to testdata/formats, under this name")

// What any released version has put into an inbox in Redis is there, and goes on.
// docs/releases.md says how a release adds its own.
func TestInboxesOfEveryVersionAreRead(t *testing.T) {
	if *writeFormat != "" {
		to := filepath.Join("testdata", "formats", *writeFormat)
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		server := testbed.StartRedis(t)
		q := paymentsAt(t, server, time.Time{})
		queuetest.WriteKept(t, q, to, queuetest.FillEachState(t, q))
		server.Dump(filepath.Join(to, "redis.json"))
	}
	formats, err := filepath.Glob(filepath.Join("testdata", "formats", "*"))
	if err != nil || len(formats) == 0 {
		t.Fatalf("nothing in testdata/formats: %v", err)
	}
	for _, from := range formats {
		t.Run(filepath.Base(from), func(t *testing.T) {
			t.Parallel()
			server := testbed.StartRedis(t)
			server.Load(filepath.Join(from, "redis.json"))
			q := paymentsAt(t, server, queuetest.KeptAt(t, from))
			queuetest.CheckKept(t, q, from)
			queuetest.CheckDeliverable(t, q)
		})
	}
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
