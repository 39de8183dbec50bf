package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// claims are the tests of Claim, Renew and Release.
var claims = map[string]func(*testing.T, Bench){
	"claim takes every key for its lease":             claimTakesEveryKey,
	"claim of another attempt waits, at any gateway":  claimOfAnotherWaits,
	"claim under the same token is still that claim":  claimRepeats,
	"refused claim keeps no key":                      refusedClaimKeepsNothing,
	"refused repeated claim gives back what it held":  refusedRepeatGivesBack,
	"content decides before the id":                   contentDecidesFirst,
	"lapsed lease frees the event":                    lapsedLeaseFrees,
	"renew lengthens the lease of the holder only":    renewHolderOnly,
	"renew never revives a lapsed claim":              renewNeverRevives,
	"renew of a claim that is half lost renews none":  renewHalfLost,
	"release frees what the token holds and no more":  releaseOwnOnly,
	"stolen lease leaves the old holder powerless":    stolenLease,
	"nonsense is refused":                             nonsenseIsRefused,
	"cancelled context is an error and takes nothing": cancelledContext,
	"closed store says so":                            closedStore,
}

func claimTakesEveryKey(t *testing.T, b Bench) {
	g := b.gateway(t)
	for name, ev := range shapes() {
		g.claimed(ev, dedupe.NewToken(), long)
		for _, k := range []dedupe.Key{ev.Content, ev.ID} {
			if k.IsZero() {
				continue
			}
			rec := g.lookup(k)
			if rec.State != dedupe.InFlight || rec.TTL <= long/2 || rec.TTL > long {
				t.Errorf("%s: record is %+v, want in flight for %s", name, rec, long)
			}
			if rec.Status != 0 || !rec.Content.IsZero() {
				t.Errorf("%s: record in flight tells an outcome: %+v", name, rec)
			}
		}
	}
}

func claimOfAnotherWaits(t *testing.T, b Bench) {
	here, there := b.gateway(t), b.gateway(t)
	for _, ev := range shapes() {
		here.claimed(ev, dedupe.NewToken(), long)
		here.want(here.claim(ev, dedupe.NewToken(), long), dedupe.Answer{State: dedupe.InFlight})
		there.want(there.claim(ev, dedupe.NewToken(), long), dedupe.Answer{State: dedupe.InFlight})
	}
}

func claimRepeats(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		tok := dedupe.NewToken()
		g.claimed(ev, tok, long)
		g.claimed(ev, tok, 3*long)
		for _, k := range []dedupe.Key{ev.Content, ev.ID} {
			if rec := g.lookup(k); !k.IsZero() && rec.TTL <= long {
				t.Errorf("lease is %s after a second claim for %s", rec.TTL, 3*long)
			}
		}
		g.want(g.claim(ev, dedupe.NewToken(), long), dedupe.Answer{State: dedupe.InFlight})
	}
}

func refusedClaimKeepsNothing(t *testing.T, b Bench) {
	g := b.gateway(t)
	first := event()
	g.claimed(first, dedupe.NewToken(), long)

	sameID := dedupe.Event{Content: key("content"), ID: first.ID}
	g.want(g.claim(sameID, dedupe.NewToken(), long), dedupe.Answer{State: dedupe.InFlight})
	sameContent := dedupe.Event{Content: first.Content, ID: key("id")}
	g.want(g.claim(sameContent, dedupe.NewToken(), long), dedupe.Answer{State: dedupe.InFlight})
	g.states(map[dedupe.Key]dedupe.State{sameID.Content: dedupe.Absent, sameContent.ID: dedupe.Absent})

	// The same when the other key is finished instead.
	g.commit(first, 200, long)
	if a := g.claim(sameID, dedupe.NewToken(), long); a.State != dedupe.Done {
		t.Fatalf("answer is %+v, want done", a)
	}
	g.states(map[dedupe.Key]dedupe.State{sameID.Content: dedupe.Absent})
}

func refusedRepeatGivesBack(t *testing.T, b Bench) {
	g := b.gateway(t)
	parts := map[string]func(dedupe.Event) (mine, theirs dedupe.Event){
		"content held, id refused": func(ev dedupe.Event) (dedupe.Event, dedupe.Event) {
			return dedupe.Event{Content: ev.Content}, dedupe.Event{ID: ev.ID}
		},
		"id held, content refused": func(ev dedupe.Event) (dedupe.Event, dedupe.Event) {
			return dedupe.Event{ID: ev.ID}, dedupe.Event{Content: ev.Content}
		},
	}
	for name, split := range parts {
		ev, tok := event(), dedupe.NewToken()
		mine, theirs := split(ev)
		g.claimed(mine, tok, long)
		g.claimed(theirs, dedupe.NewToken(), long)
		g.want(g.claim(ev, tok, long), dedupe.Answer{State: dedupe.InFlight})
		for _, k := range []dedupe.Key{mine.Content, mine.ID} {
			if rec := g.lookup(k); !k.IsZero() && rec.State != dedupe.Absent {
				t.Errorf("%s: the key that was held is %s, want absent", name, rec.State)
			}
		}
	}
}

func contentDecidesFirst(t *testing.T, b Bench) {
	g := b.gateway(t)
	byContent := event()
	g.commit(dedupe.Event{Content: byContent.Content}, 201, long)
	g.commit(dedupe.Event{ID: byContent.ID}, 202, long)
	g.want(g.claim(byContent, dedupe.NewToken(), long),
		dedupe.Answer{State: dedupe.Done, Status: 201, ByContent: true})

	waiting := event()
	g.claimed(dedupe.Event{Content: waiting.Content}, dedupe.NewToken(), long)
	g.commit(dedupe.Event{ID: waiting.ID}, 202, long)
	g.want(g.claim(waiting, dedupe.NewToken(), long), dedupe.Answer{State: dedupe.InFlight})
}

func lapsedLeaseFrees(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		g.claimed(ev, dedupe.NewToken(), b.Short)
		b.Lapse(t, ev.Content, ev.ID)
		g.states(map[dedupe.Key]dedupe.State{ev.Content: dedupe.Absent, ev.ID: dedupe.Absent})
		g.claimed(ev, dedupe.NewToken(), long)
	}
}

func renewHolderOnly(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		tok := dedupe.NewToken()
		g.claimed(ev, tok, long)
		g.lost("renewing another's claim", ev, dedupe.NewToken(), 5*long)
		for _, k := range []dedupe.Key{ev.Content, ev.ID} {
			if rec := g.lookup(k); rec.TTL > long {
				t.Fatalf("another's renewal made the lease %s", rec.TTL)
			}
		}
		if err := g.Renew(t.Context(), ev, tok, 5*long); err != nil {
			t.Fatalf("renewing one's own claim: %v", err)
		}
		for _, k := range []dedupe.Key{ev.Content, ev.ID} {
			if rec := g.lookup(k); !k.IsZero() && rec.TTL <= 4*long {
				t.Fatalf("lease is %s after a renewal for %s", rec.TTL, 5*long)
			}
		}
	}
}

func renewNeverRevives(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		tok := dedupe.NewToken()
		g.claimed(ev, tok, b.Short)
		b.Lapse(t, ev.Content, ev.ID)
		g.lost("renewing a lapsed claim", ev, tok, long)
		g.states(map[dedupe.Key]dedupe.State{ev.Content: dedupe.Absent, ev.ID: dedupe.Absent})
	}
}

func renewHalfLost(t *testing.T, b Bench) {
	g := b.gateway(t)
	ev, tok := event(), dedupe.NewToken()
	for lost, kept := range map[dedupe.Event]dedupe.Key{
		{Content: ev.Content}: ev.ID,
		{ID: ev.ID}:           ev.Content,
	} {
		g.claimed(ev, tok, long)
		g.release(lost, tok)
		g.lost("renewing half a claim", ev, tok, 5*long)
		if rec := g.lookup(kept); rec.State != dedupe.InFlight || rec.TTL > long {
			t.Fatalf("the half that was kept is %+v, want in flight with its old lease", rec)
		}
		g.release(ev, tok)
	}
}

func releaseOwnOnly(t *testing.T, b Bench) {
	g := b.gateway(t)
	for _, ev := range shapes() {
		tok := dedupe.NewToken()
		g.release(ev, tok) // nothing held
		g.claimed(ev, tok, long)
		g.release(ev, dedupe.NewToken())
		g.want(g.claim(ev, dedupe.NewToken(), long), dedupe.Answer{State: dedupe.InFlight})
		g.release(ev, tok)
		g.claimed(ev, dedupe.NewToken(), long)
	}

	// One key has passed to another attempt: only the other one is freed.
	ev, tok := event(), dedupe.NewToken()
	g.claimed(dedupe.Event{Content: ev.Content}, tok, long)
	g.claimed(dedupe.Event{ID: ev.ID}, dedupe.NewToken(), long)
	g.release(ev, tok)
	g.states(map[dedupe.Key]dedupe.State{ev.Content: dedupe.Absent, ev.ID: dedupe.InFlight})
}

func stolenLease(t *testing.T, b Bench) {
	slow, next := b.gateway(t), b.gateway(t)
	for _, ev := range shapes() {
		a, z := dedupe.NewToken(), dedupe.NewToken()
		slow.claimed(ev, a, b.Short)
		b.Lapse(t, ev.Content, ev.ID)
		next.claimed(ev, z, long)

		slow.lost("the old holder's renewal", ev, a, 5*long)
		slow.release(ev, a)
		slow.want(slow.claim(ev, a, long), dedupe.Answer{State: dedupe.InFlight})
		if err := next.Renew(t.Context(), ev, z, long); err != nil {
			t.Fatalf("the new holder's renewal: %v", err)
		}

		// The old holder's app answers success after all. Its work is done, so it counts.
		slow.commit(ev, 202, long)
		next.release(ev, z)
		next.lost("renewing a finished event", ev, z, long)
		got := next.claim(ev, z, long)
		next.want(got, dedupe.Answer{State: dedupe.Done, Status: 202, ByContent: !ev.Content.IsZero()})
	}
}

func nonsenseIsRefused(t *testing.T, b Bench) {
	g := b.gateway(t)
	ev, none, tok := event(), dedupe.Event{}, dedupe.NewToken()
	for name, call := range map[string]func(context.Context) error{
		"claim without a key":   func(ctx context.Context) error { _, err := g.Claim(ctx, none, tok, long); return err },
		"claim without a lease": func(ctx context.Context) error { _, err := g.Claim(ctx, ev, tok, 0); return err },
		"renew without a key":   func(ctx context.Context) error { return g.Renew(ctx, none, tok, long) },
		"renew into the past":   func(ctx context.Context) error { return g.Renew(ctx, ev, tok, -time.Second) },
		"commit without a key":  func(ctx context.Context) error { return g.Commit(ctx, none, dedupe.Success{Status: 200}, long) },
		"commit for no time":    func(ctx context.Context) error { return g.Commit(ctx, ev, dedupe.Success{Status: 200}, 0) },
		"commit without status": func(ctx context.Context) error { return g.Commit(ctx, ev, dedupe.Success{Status: 0}, long) },
		"commit, status 1000":   func(ctx context.Context) error { return g.Commit(ctx, ev, dedupe.Success{Status: 1000}, long) },
		"release without a key": func(ctx context.Context) error { return g.Release(ctx, none, tok) },
	} {
		if err := call(t.Context()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	g.states(map[dedupe.Key]dedupe.State{ev.Content: dedupe.Absent, ev.ID: dedupe.Absent})
}

func cancelledContext(t *testing.T, b Bench) {
	g := b.gateway(t)
	ev := event()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range operations(ev) {
		if err := call(ctx, g); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
	g.states(map[dedupe.Key]dedupe.State{ev.Content: dedupe.Absent, ev.ID: dedupe.Absent})
}

func closedStore(t *testing.T, b Bench) {
	s := b.Open(t)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	for name, call := range operations(event()) {
		if err := call(t.Context(), s); !errors.Is(err, dedupe.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
}
