package dedupe_test

import (
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// The cost of one event: a claim and a commit, with both keys.
func BenchmarkClaimCommit(b *testing.B) {
	stores := map[string]func(b *testing.B) dedupe.Store{
		"memory": func(*testing.B) dedupe.Store {
			return dedupe.NewMemory(dedupe.MemoryOptions{MaxEntries: 1 << 30})
		},
		"disk": func(b *testing.B) dedupe.Store {
			return openDisk(b, b.TempDir(), &clock{now: time.Now()})
		},
		"redis": func(b *testing.B) dedupe.Store {
			return newRedis(b, dedupe.RedisOptions{URLs: []string{testbed.StartRedis(b).URL()}, Timeout: patient})
		},
	}
	for name, open := range stores {
		b.Run(name, func(b *testing.B) {
			b.Run("serial", func(b *testing.B) {
				s := open(b)
				b.ReportAllocs()
				for b.Loop() {
					settle(b, s)
				}
			})
			b.Run("parallel", func(b *testing.B) {
				s := open(b)
				b.ReportAllocs()
				b.SetParallelism(16)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						settle(b, s)
					}
				})
			})
		})
	}
}

func settle(b *testing.B, s dedupe.Store) {
	// Random keys, as digests are; a token is as good as any.
	ev := dedupe.Event{Content: dedupe.Key(dedupe.NewToken()), ID: dedupe.Key(dedupe.NewToken())}
	a, err := s.Claim(b.Context(), ev, dedupe.NewToken(), 10*time.Second)
	if err != nil || a.State != dedupe.Claimed {
		b.Fatalf("claim: %+v, %v", a, err)
	}
	if err := s.Commit(b.Context(), ev, 200, time.Hour); err != nil {
		b.Fatalf("commit: %v", err)
	}
}
