package chaos

import (
	"math/rand/v2"
	"time"
)

// inboxFaults are those that only a run with inboxes has.
type inboxFaults struct{ *world }

// freezes are those of gateways: for moments, and for longer than a worker's lease.
func (w inboxFaults) freezes() []faultKind {
	freeze := func(kind string, hold [2]time.Duration) faultKind {
		return faultKind{kind: kind, hold: hold, draw: func(r *rand.Rand) injection {
			i := r.IntN(len(w.gateways))
			return injection{
				fault:  fault{gateway: i, hits: gatewayFrozen},
				inject: func() { w.gateways[i].Freeze() },
				repair: func() { w.gateways[i].Thaw() },
			}
		}}
	}
	short := freeze("gateway frozen", span(200*time.Millisecond, 3*time.Second))
	if w.length < 2*eventLease { // the other one would be all that happens to gateways
		return []faultKind{short}
	}
	return []faultKind{short, freeze("gateway frozen beyond its lease", span(eventLease+time.Second, eventLease+8*time.Second))}
}

// fullStores are stores that take no more.
func (w inboxFaults) fullStores() []faultKind {
	switch t := w.topology.(type) {
	case *single:
		setMemory := func(most string) {
			if _, err := t.redis.Do("CONFIG", "SET", "maxmemory", most); err != nil {
				w.tb.Logf("limiting Redis's memory: %v", err)
			}
		}
		return []faultKind{{kind: "Redis out of memory", draw: func(*rand.Rand) injection {
			return injection{
				fault:  fault{gateway: everyGateway, hits: storeHit},
				inject: func() { setMemory("1") },
				repair: func() { setMemory("0") },
			}
		}}}
	case onDisk:
		return w.fullDisks()
	}
	return nil
}

// longAppFaults are those that a sender without an inbox in between would not wait for.
func (w inboxFaults) longAppFaults() []faultKind {
	mood := func(kind string, mood int32) faultKind {
		return faultKind{kind: kind, hold: span(2*time.Second, 15*time.Second), draw: func(*rand.Rand) injection {
			return injection{
				fault:  fault{gateway: everyGateway, hits: appUnwell},
				inject: func() { w.app.mood.Store(mood) },
				repair: func() { w.app.mood.Store(moodWell) },
			}
		}}
	}
	away := w.appFaults()[0]
	away.kind, away.hold = "app away for long", span(w.length/6, min(w.length/3, 3*time.Minute))
	return []faultKind{away, mood("app slow", moodSlow), mood("app fails every second event", moodFailing)}
}
