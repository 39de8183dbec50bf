package queuetest

import (
	"errors"
	"sync"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// races are the tests of many callers at once.
var races = map[string]func(*testing.T, Bench){
	"one of many puts of an event accepts it":     oneAccepts,
	"many workers deliver each event once":        workersShare,
	"counters are right after steps in any order": countersUnderLoad,
}

// together runs n calls at once, and returns when all have ended.
func together(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

func oneAccepts(t *testing.T, b Bench) {
	gateways := []gateway{b.gateway(t, inbox.Options{}), b.gateway(t, inbox.Options{})}
	ev := b.event(100)
	var mu sync.Mutex
	answers := make(map[inbox.Answer]int)
	together(16, func(i int) {
		a, err := gateways[i%2].Put(t.Context(), ev)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		answers[a]++
	})
	if answers[inbox.Accepted] != 1 || answers[inbox.Queued] != 15 {
		t.Fatalf("the answers are %v, want one accepted and the rest queued", answers)
	}
}

func workersShare(t *testing.T, b Bench) {
	gateways := []gateway{b.gateway(t, inbox.Options{}), b.gateway(t, inbox.Options{})}
	const many = 300
	var mu sync.Mutex
	delivered := make(map[inbox.Key]int)
	together(12, func(i int) {
		g := gateways[i%2]
		if i < 4 { // senders
			for n := i; n < many; n += 4 {
				ev := b.event(50)
				ev.Key = numbered(n)
				if a, err := g.Put(t.Context(), ev); err != nil || a != inbox.Accepted {
					t.Error(a, err)
				}
			}
			return
		}
		for t.Context().Err() == nil {
			batch, err := g.Take(t.Context(), 5, lease)
			if err != nil {
				t.Error(err)
				return
			}
			for n, d := range batch.Deliveries {
				mu.Lock()
				delivered[d.Key]++
				mu.Unlock()
				s := success()
				if n%2 == 1 && d.Info.Attempts == 1 {
					s = retry(0)
				}
				if err := g.Settle(t.Context(), d.Key, batch.Token, s); err != nil {
					t.Error(err)
				}
			}
			if s, err := g.Status(t.Context()); err != nil || s.Done == many {
				if err != nil {
					t.Error(err)
				}
				return
			}
		}
	})
	gateways[0].counts(0, 0, 0, 0, many)
	for n := range many {
		k := numbered(n)
		if r := gateways[0].get(k); delivered[k] != r.Info.Attempts || delivered[k] > 2 || delivered[k] == 0 {
			t.Fatalf("an event was delivered %d times, and counts %d attempts", delivered[k], r.Info.Attempts)
		}
	}
}

func countersUnderLoad(t *testing.T, b Bench) {
	g := b.gateway(t, b.limited(inbox.Options{MaxEvents: 40}))
	together(8, func(i int) {
		for n := range 40 {
			ctx, k := t.Context(), numbered(i/2*40+n)
			ev := inbox.Event{Key: k, Envelope: []byte("event")}
			_, err := g.Put(ctx, ev)
			var err2 error
			switch n % 5 {
			case 0:
				_, err2 = g.Delete(ctx, []inbox.Key{k})
			case 1:
				err2 = g.Settle(ctx, k, inbox.NewToken(), success())
			case 2:
				_, err2 = g.Replay(ctx, []inbox.Key{k}, 0, 0)
			default:
				batch, err := g.Take(ctx, 2, lease)
				err2 = err
				for _, d := range batch.Deliveries {
					if err := g.Settle(ctx, d.Key, batch.Token, giveUp("age")); err != nil && !errors.Is(err, inbox.ErrLost) {
						t.Error(err)
					}
				}
			}
			if err != nil || err2 != nil {
				t.Error(err, err2)
			}
		}
	})
	want, bytes := make(map[inbox.State]int64), int64(0)
	for k, info := range g.walk(inbox.Filter{}, 7, nil) {
		want[info.State]++
		if info.State.Waits() {
			bytes += int64(info.Size)
		}
		if g.get(k).Info != info {
			t.Fatalf("%+v is listed, want %+v", info, g.get(k).Info)
		}
	}
	g.counts(want[inbox.Ready], want[inbox.Delayed], want[inbox.Leased], want[inbox.Dead], want[inbox.Done])
	if s := g.status(); s.Bytes != bytes || s.Reasons["age"] != want[inbox.Dead] {
		t.Fatalf("the status is %+v, want %d bytes and %d dead", s, bytes, want[inbox.Dead])
	}
}
