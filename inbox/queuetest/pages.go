package queuetest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// BenchPages fills an inbox with many events, and measures pages of 50: of ten events eight
// are done, one is dead and one waits. One of a thousand has a type of its own.
func BenchPages(b *testing.B, q inbox.Queue, many int) {
	began := time.Now()
	fill(b, q, many)
	status, err := q.Status(b.Context())
	if err != nil || status.Waiting()+status.Dead+status.Done != int64(many) {
		b.Fatal(status, err)
	}
	b.Logf("%d events after %s", many, time.Since(began).Round(time.Second))
	// The dead are of the older half.
	middle, err := q.Get(b.Context(), benchKey(many/4))
	if err != nil {
		b.Fatal(err)
	}
	since := middle.Accepted
	deep := ""
	for range 200 {
		p, err := q.Page(b.Context(), inbox.Filter{}, deep, 50)
		if err != nil {
			b.Fatal(err)
		}
		deep = cmp.Or(p.Next, deep)
	}
	for _, c := range []struct {
		name   string
		f      inbox.Filter
		cursor string
		some   bool
	}{
		{"all", inbox.Filter{}, "", true},
		{"all, page 201", inbox.Filter{}, deep, true},
		{"ready", inbox.Filter{State: inbox.Ready}, "", true},
		{"dead", inbox.Filter{State: inbox.Dead}, "", true},
		{"done", inbox.Filter{State: inbox.Done}, "", true},
		{"id", inbox.Filter{ID: benchID(many / 2)}, "", true},
		{"no such id", inbox.Filter{ID: "evt_none"}, "", false},
		{"done of a rare type", inbox.Filter{Type: "rare", State: inbox.Done}, "", true},
		{"dead of a rare type", inbox.Filter{Type: "rare", State: inbox.Dead}, "", true},
		{"dead by reason", inbox.Filter{Reason: "status 410"}, "", true},
		{"done before a time", inbox.Filter{State: inbox.Done, Until: since}, "", true},
		{"dead since a time", inbox.Filter{State: inbox.Dead, Since: since}, "", true},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				p, err := q.Page(b.Context(), c.f, c.cursor, 50)
				if err != nil || c.some != (len(p.Events) > 0) {
					b.Fatal(len(p.Events), err)
				}
			}
		})
	}
	b.Run("status", func(b *testing.B) {
		for b.Loop() {
			if _, err := q.Status(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchKey(n int) (k inbox.Key) {
	// Spread, as digests are.
	binary.BigEndian.PutUint64(k[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(k[8:], uint64(n)+1)
	return k
}

func benchID(n int) string { return fmt.Sprintf("evt_1NG8Du2eZvKYlo2C%08d", n) }

// fill puts the events, in order, and settles most of them.
func fill(b *testing.B, q inbox.Queue, many int) {
	envelope := make([]byte, 200)
	const callers = 64
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for n := c; n < many; n += callers {
				ev := inbox.Event{Key: benchKey(n), Scope: "stripe", ID: benchID(n), Type: fmt.Sprint("type.", n%20), Envelope: envelope}
				if n%1000 < 10 { // of each state that they come to
					ev.Type = "rare"
				}
				if _, err := q.Put(b.Context(), ev); err != nil {
					b.Error(err)
					return
				}
				if n%10 > 7 {
					continue // a half of these is given up below, which takes a token
				}
				if err := q.Settle(b.Context(), ev.Key, inbox.NewToken(), success()); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	for left := many / 10; left > 0 && !b.Failed(); {
		batch, err := q.Take(b.Context(), min(left, 500), time.Hour)
		if err != nil || len(batch.Deliveries) == 0 {
			b.Fatal(left, err)
		}
		left -= len(batch.Deliveries)
		for part := range callers {
			all.Go(func() {
				for i := part; i < len(batch.Deliveries); i += callers {
					reason := "age"
					if i%5 == 0 {
						reason = "status 410"
					}
					if err := q.Settle(b.Context(), batch.Deliveries[i].Key, batch.Token, giveUp(reason)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	}
}
