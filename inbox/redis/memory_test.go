package redis

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	dedupe "github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// What an event takes in Redis beside its envelope, as docs/operations.md says.
func TestMemoryPerEvent(t *testing.T) {
	t.Parallel()
	const many, envelope, mostWaiting, mostFinished = 20_000, 700, 800, 950
	server := testbed.StartRedis(t)
	servers, err := dedupe.New(dedupe.Options{URLs: []string{server.URL()}, Timeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = servers.Close() })
	q, err := New(servers).Queue("payments", inbox.Options{Keep: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, envelope)
	put := func(n, from int) {
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				for k := from + i; k < from+n; k += 16 {
					ev := inbox.Event{Key: inbox.Key(inbox.NewToken()), Scope: "stripe", ID: fmt.Sprintf("evt_%024d", k), Type: "payment_intent.succeeded", Envelope: body}
					if a, err := q.Put(t.Context(), ev); a != inbox.Accepted || err != nil {
						t.Error(a, err)
					}
				}
			})
		}
		all.Wait()
	}
	settle := func() {
		for {
			batch, err := q.Take(t.Context(), mostTaken, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if len(batch.Deliveries) == 0 {
				return
			}
			for _, d := range batch.Deliveries {
				s := inbox.Settlement{Outcome: inbox.Success, Attempt: inbox.Attempt{Number: 1, At: batch.Now, Took: time.Millisecond, Status: 200, Head: []byte("ok")}}
				if err := q.Settle(t.Context(), d.Key, batch.Token, s); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	put(100, many) // connections and scripts
	settle()
	empty := memory(t, servers.Client())
	put(many, 0)
	waiting := (memory(t, servers.Client()) - empty) / many
	settle()
	finished := (memory(t, servers.Client()) - empty) / many
	t.Logf("an event takes %.0f bytes beside an envelope of %d while it waits, and %.0f when it is finished", waiting-envelope, envelope, finished)
	if waiting < envelope || waiting-envelope > mostWaiting {
		t.Errorf("%.0f bytes beside the envelope, want at most %d", waiting-envelope, mostWaiting)
	}
	if finished <= 0 || finished > mostFinished {
		t.Errorf("%.0f bytes when finished, want at most %d", finished, mostFinished)
	}
}

// memory is what the server uses.
func memory(t *testing.T, client goredis.UniversalClient) float64 {
	t.Helper()
	text, err := client.Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "used_memory:")
	value, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
