package redis

import (
	goflag "flag"
	"testing"

	dedupe "github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

var events = goflag.Int("events", 100_000, "how many events BenchmarkPages has")

// BenchmarkPages is how long a page takes, with many events behind it.
func BenchmarkPages(b *testing.B) {
	server := testbed.StartRedis(b, "--save", "")
	servers, err := dedupe.New(dedupe.Options{URLs: []string{server.URL()}, Timeout: patient})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = servers.Close() })
	q, err := New(servers).Queue("payments", inbox.Options{})
	if err != nil {
		b.Fatal(err)
	}
	queuetest.BenchPages(b, q, *events)
}
