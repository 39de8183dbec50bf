package chaos

import (
	"fmt"
	"time"
)

// rules say what a fault can explain in a topology.
type rules struct {
	// shared is whether a claim outlives the gateway that made it.
	shared bool
}

func rulesOf(topology string) rules { return rules{shared: topology != "disk"} }

// Bounds on what the guard does by itself. They are approximations, since the harness
// sees neither the guard's claims nor its commits: real times are far shorter, but a
// busy machine stretches them.
const (
	// commitWithin is how long after the app's answer its commit has been tried: one
	// step of the store, and as much again for a busy machine.
	commitWithin = time.Second
	// recoverWithin is how long after the store is well again what was tried in vain
	// has been done: a pause, a step that was under way, a step, and slack.
	recoverWithin = 3 * time.Second
	// lagWithin is how far a replica may be behind its master.
	lagWithin = time.Second
	// limitSlack is how far the app's clock of a call is behind the guard's.
	limitSlack = 500 * time.Millisecond
)

// cause is what explains that an event came to the app again.
type cause struct {
	name  string
	fault *fault // nil where the app itself is the cause
}

func (c cause) String() string {
	if c.fault == nil {
		return c.name
	}
	return fmt.Sprintf("%s (%s)", c.name, c.fault)
}

// Causes, as the table names them.
const (
	causeCut      = "the app broke off an answer"
	causeLate     = "the app answered after the guard's time limit"
	causeKill     = "gateway killed before its commit"
	causeEnd      = "gateway ended while it could not commit"
	causeLoss     = "Redis lost a write in a failover"
	causeAway     = "Redis away when the event was to be committed or its claim renewed"
	causeNoneText = "unexplained"
)

// explain says why an event could reach the app once more, as call again, though call
// first had been a success or was still with the app. nil: nothing explains it.
func (r rules) explain(e *event, first, again *call, faults []*fault) *cause {
	switch {
	case first.work && !first.whole && again.begun >= first.decided:
		return &cause{name: causeCut}
	case first.decided-first.begun >= appLimit-limitSlack && again.begun >= first.begun+appLimit-limitSlack:
		return &cause{name: causeLate}
	}
	for _, f := range faults {
		if name := r.blame(e, first, again, f, faults); name != "" {
			return &cause{name, f}
		}
	}
	return nil
}

// blame returns what a fault explains, or "".
func (r rules) blame(e *event, first, again *call, f *fault, faults []*fault) string {
	if !f.concerns(first.gateway) || again.begun < f.start {
		return ""
	}
	committed := first.ended + commitWithin // at the latest, had nothing been wrong
	switch f.hits {
	case gatewayKilled:
		if f.struck >= first.begun && f.start <= committed && !e.acknowledgedBetween(first.decided, f.start) && r.lapsed(first.begun, again) {
			return causeKill
		}
	case storeHit:
		switch {
		case f.loses && f.lasted(first.begun, committed+lagWithin):
			return causeLoss
		case !f.lasted(first.begun, committed) || !r.lapsed(max(f.start, first.begun), again):
		case again.begun <= f.end+recoverWithin:
			return causeAway
		case endedMeanwhile(first, f, faults):
			return causeEnd
		}
	}
	return ""
}

// concerns is whether a fault had to do with a gateway.
func (f *fault) concerns(gateway int) bool {
	return f.gateway == everyGateway || f.gateway == gateway
}

// lapsed is whether a claim that was well at a moment can have run out by the time of
// another call: nothing is forwarded on less than half of a lease, and a renewal is
// tried before that is reached.
func (r rules) lapsed(from moment, again *call) bool {
	return !r.shared || again.begun >= from+lease/2
}

// acknowledgedBetween is whether anybody got a success for the event in that time, so
// that it was committed.
func (e *event) acknowledgedBetween(from, to moment) bool {
	for _, a := range e.attempts {
		if a.acknowledged() && a.ended >= from && a.ended < to {
			return true
		}
	}
	return false
}

// endedMeanwhile is whether the call's gateway ended while a fault kept it from
// committing, so that nobody tries any more.
func endedMeanwhile(c *call, away *fault, faults []*fault) bool {
	for _, f := range faults {
		if (f.hits == gatewayKilled || f.hits == gatewayStopped) && f.concerns(c.gateway) &&
			f.struck >= c.decided && f.start <= away.end+recoverWithin {
			return true
		}
	}
	return false
}
