package storetest

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// races are the tests with many attempts at once.
var races = map[string]func(*testing.T, Bench){
	"of many claims at once one wins":               oneWins,
	"overlapping keys have one holder each":         overlappingKeys,
	"after a commit nobody claims":                  commitAgainstClaims,
	"release and renew never touch the next holder": holdersInTurn,
}

const (
	attempts = 32
	rounds   = 25
)

// at runs f as each of n attempts at once, spread over two gateways.
func (b Bench) at(t *testing.T, n int, f func(g gateway, i int)) {
	t.Helper()
	gateways := [...]gateway{b.gateway(t), b.gateway(t)}
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			f(gateways[i%len(gateways)], i)
		})
	}
	close(start)
	all.Wait()
}

// try claims without ending the test, which only its own goroutine may do.
func (g gateway) try(ev dedupe.Event, tok dedupe.Token) dedupe.State {
	a, err := g.Claim(g.t.Context(), ev, tok, long)
	if err != nil {
		g.t.Errorf("claim: %v", err)
	}
	return a.State
}

func (g gateway) check(step string, err error) {
	if err != nil {
		g.t.Errorf("%s: %v", step, err)
	}
}

func oneWins(t *testing.T, b Bench) {
	for _, ev := range shapes() {
		var won, waiting atomic.Int32
		b.at(t, attempts, func(g gateway, _ int) {
			switch g.try(ev, dedupe.NewToken()) {
			case dedupe.Claimed:
				won.Add(1)
			case dedupe.InFlight:
				waiting.Add(1)
			}
		})
		if won.Load() != 1 || waiting.Load() != attempts-1 {
			t.Fatalf("%d claimed and %d in flight, want 1 and %d", won.Load(), waiting.Load(), attempts-1)
		}
	}
}

// overlappingKeys has attempts claim all pairs of a few contents and IDs. Each key may
// have one holder at a time, and none at the end.
func overlappingKeys(t *testing.T, b Bench) {
	const n = 3
	var contents, ids [n]dedupe.Key
	var holders [2 * n]atomic.Int32
	for i := range n {
		contents[i], ids[i] = key("content"), key("id")
	}
	var won atomic.Int32
	b.at(t, attempts, func(g gateway, _ int) {
		for range rounds {
			c, i := rand.IntN(n), rand.IntN(n)
			ev, tok := dedupe.Event{Content: contents[c], ID: ids[i]}, dedupe.NewToken()
			if g.try(ev, tok) == dedupe.Claimed {
				won.Add(1)
				if holders[c].Add(1) != 1 || holders[n+i].Add(1) != 1 {
					t.Error("a key has two holders")
				}
				holders[c].Add(-1)
				holders[n+i].Add(-1)
			}
			g.check("release", g.Release(t.Context(), ev, tok))
		}
	})
	if won.Load() == 0 {
		t.Error("no attempt ever got through")
	}
	g := b.gateway(t)
	for i := range n {
		g.states(map[dedupe.Key]dedupe.State{contents[i]: dedupe.Absent, ids[i]: dedupe.Absent})
	}
}

// commitAgainstClaims commits among claims and releases. A claim that begins after the
// commit has returned must find the event done.
func commitAgainstClaims(t *testing.T, b Bench) {
	for _, ev := range shapes() {
		var committed atomic.Bool
		b.at(t, attempts, func(g gateway, i int) {
			if i == 0 {
				g.check("commit", g.Commit(t.Context(), ev, dedupe.Success{Status: 200}, long))
				committed.Store(true)
				return
			}
			for range rounds {
				tok := dedupe.NewToken()
				late := committed.Load()
				if state := g.try(ev, tok); late && state != dedupe.Done {
					t.Errorf("claim after the commit: %s, want done", state)
				}
				g.check("release", g.Release(t.Context(), ev, tok))
			}
		})
	}
}

// holdersInTurn passes one event from holder to holder while all those who held it
// before keep renewing and releasing.
func holdersInTurn(t *testing.T, b Bench) {
	ev := event()
	var holders atomic.Int32
	b.at(t, attempts/2, func(g gateway, _ int) {
		for range rounds {
			tok := dedupe.NewToken()
			if g.try(ev, tok) != dedupe.Claimed {
				_ = g.Renew(t.Context(), ev, tok, long) // must fail, and change nothing
				g.check("release", g.Release(t.Context(), ev, tok))
				continue
			}
			if holders.Add(1) != 1 {
				t.Error("the event has two holders")
			}
			g.check("renew", g.Renew(t.Context(), ev, tok, long))
			holders.Add(-1)
			g.check("release", g.Release(t.Context(), ev, tok))
		}
	})
}
