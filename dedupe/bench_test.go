package dedupe_test

import (
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/memory"
)

// The cost of one event: a claim and a commit, with both keys.
func BenchmarkClaimCommit(b *testing.B) {
	stores := map[string]func(b *testing.B) dedupe.Store{
		"memory": func(*testing.B) dedupe.Store {
			return memory.New(memory.Options{MaxEntries: 1 << 30})
		},
		"disk": func(b *testing.B) dedupe.Store {
			return openDisk(b, nil)
		},
		"redis": func(b *testing.B) dedupe.Store {
			return openRedis(b)
		},
	}
	for name, open := range stores {
		b.Run(name, func(b *testing.B) {
			b.Run("serial", func(b *testing.B) {
				s := open(b)
				b.ReportAllocs()
				for b.Loop() {
					if err := testkit.Settle(b, s, 0); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("parallel", func(b *testing.B) {
				s := open(b)
				b.ReportAllocs()
				b.SetParallelism(16)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := testkit.Settle(b, s, 0); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		})
	}
}
