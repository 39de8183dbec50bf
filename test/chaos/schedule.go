package chaos

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// planned is a step of the schedule: a fault begins or ends.
type planned struct {
	at    moment
	fault *fault
	begin bool
	injection
}

// lane is a component that has one fault at a time. Faults of different lanes overlap.
type lane struct {
	faultKinds []faultKind
	hold       [2]time.Duration // how long a fault lasts
	interval   [2]time.Duration // and how long all is well after it
}

// plan draws the faults of a run. Each lane deals its kinds like a deck of cards, so
// that even a short run has all of them.
func plan(seed uint64, length time.Duration, lanes []lane) []planned {
	var steps []planned
	for i, l := range lanes {
		if len(l.faultKinds) == 0 {
			continue
		}
		r := rand.New(rand.NewPCG(seed, uint64(i)<<32|0xfa17))
		var deck []faultKind
		for at := within(r, l.interval[0], l.interval[1]); at < length; at += within(r, l.interval[0], l.interval[1]) {
			if len(deck) == 0 {
				deck = slices.Clone(l.faultKinds)
				r.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
			}
			b := deck[0].draw(r)
			b.fault.kind = deck[0].kind
			hold := l.hold
			if deck[0].hold[1] > 0 {
				hold = deck[0].hold
			}
			deck = deck[1:]
			steps = append(steps, planned{at: at, fault: &b.fault, begin: true, injection: b})
			at += within(r, hold[0], hold[1])
			steps = append(steps, planned{at: min(at, length), fault: &b.fault, injection: b})
		}
	}
	slices.SortStableFunc(steps, func(a, b planned) int { return cmp.Compare(a.at, b.at) })
	return steps
}

// play carries out the plan, on the test's own goroutine. A slow step, such as a
// failover, delays those that follow.
func (w *world) play(steps []planned) {
	for _, s := range steps {
		time.Sleep(s.at - w.rec.now())
		if s.begin {
			if s.fault.hits == storeHit {
				w.noteUnasked()
			}
			w.rec.inject(s.fault, s.inject)
			w.tb.Logf("%8.3f s: %s", s.fault.struck.Seconds(), s.fault)
			continue
		}
		w.rec.lift(s.fault, s.repair)
		s.fault.loses = s.loses != nil && s.loses()
		if s.fault.hits != gatewayReloaded {
			w.tb.Logf("%8.3f s: over: %s", s.fault.end.Seconds(), s.fault)
		}
	}
}

// noteUnasked records a failover that no fault of the plan caused as a fault of its own. None
// may be under way that hits the store.
func (w *world) noteUnasked() {
	t, ok := w.topology.(replacing)
	if !ok {
		return
	}
	if since, happened := t.unasked(); happened {
		f := &fault{kind: "failover that nobody asked for", gateway: everyGateway, hits: storeHit, loses: true}
		w.rec.happened(f, since)
		w.tb.Logf("%8.3f s: %s", f.end.Seconds(), f)
	}
}
