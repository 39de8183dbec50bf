package chaos

import (
	"net/http"
	"time"
)

// Bounds on what an inbox does by itself, as coarse as those in explain.go.
const (
	// eventLease is how long an event is the worker's that took it.
	eventLease = 30 * time.Second
	// settleWithin is the time after the app's answer within which it is settled, by a
	// store that answers.
	settleWithin = commitWithin
	// settleRetry is the time after the store's recovery within which it is settled: the
	// worker's longest pause, and a step.
	settleRetry = 12 * time.Second
)

// Causes, as the table names them.
const (
	causeUnsettled = "gateway killed between the app's success and its settlement"
	causeLeft      = "gateway ended while the store did not take the settlement"
	causeFrozen    = "gateway frozen until the lease ended"
	causeUnread    = "gateway frozen until its time limit, with the app's answer unread"
	causeLateStore = "store did not take the settlement before the lease ended"
)

// judgeKept is the judgement on an event of an inbox. A sender's 200 says that it is kept.
// So it has to be delivered in the end, or be listed as dead.
func (v *verdict) judgeKept(e *event, faults []*fault) {
	if !e.acknowledged() {
		v.add(e, "never acknowledged")
		return
	}
	v.acknowledged++
	switch {
	case e.missing && e.lostBy(faults, ""):
		v.lostInFailover++
	case e.missing:
		v.lost++
		v.add(e, "lost: it was acknowledged, and neither delivered nor dead when nothing waited any more")
	case e.dead && !e.refusedForGood():
		v.add(e, "dead, though the app has never answered %d", finalStatus)
	case e.dead:
		v.dead++
	case !e.handled(last(e)):
		v.lost++
		v.add(e, "lost: it was acknowledged, and is neither delivered nor dead at the end")
	}
}

// judgeKeptAnswer is judgeAnswer for an acknowledgement of an inbox.
func (v *verdict) judgeKeptAnswer(e *event, a *attempt, faults []*fault) {
	if a.status != http.StatusOK {
		v.add(e, "attempt %d was answered %d %q", a.n, a.status, a.guard)
	}
	switch a.guard {
	case "accepted":
		for _, other := range e.attempts {
			if other.guard == a.guard && other.n < a.n && !lossBetween(other.begun, a.ended, faults) {
				v.add(e, "accepted twice: attempts %d and %d", other.n, a.n)
			}
		}
	case "queued":
	case "revived":
		v.revived++
		if !e.refusedForGood() {
			v.add(e, "attempt %d revived it, though the app has never answered %d", a.n, finalStatus)
		}
	case "duplicate":
		v.duplicates++
		// What a failover lost was done as far as this gateway knew. It may have come again
		// since, through another one.
		if !e.handled(a.ended) && !e.missing && !e.lostBy(faults, "accepted") {
			v.add(e, "attempt %d was answered %q at %v, but the app had not handled the event", a.n, a.guard, a.ended)
		}
	default:
		v.add(e, "attempt %d was answered %d %q", a.n, a.status, a.guard)
	}
}

// acknowledged reports whether a sender of the event, and not an attacker, got a success.
func (e *event) acknowledged() bool {
	for _, a := range e.attempts {
		if a.acknowledged() && a.kind != replay {
			return true
		}
	}
	return false
}

// handled reports whether the app had answered success by then.
func (e *event) handled(by moment) bool {
	for _, c := range e.calls {
		if c.work && c.whole && c.decided <= by {
			return true
		}
	}
	return false
}

func (e *event) refusedForGood() bool {
	for _, c := range e.calls {
		if c.status == finalStatus {
			return true
		}
	}
	return false
}

// last is when the last call of the event was decided.
func last(e *event) (at moment) {
	for _, c := range e.calls {
		at = max(at, c.decided)
	}
	return at
}

// lostBy reports whether a failover can have lost all that the store had of the event: a
// sender was told so, with the result where there is one, shortly before it. Where none is
// given, nobody need have been told: what a sender did not wait for may have been kept, lost,
// and noted as accepted on the new master.
func (e *event) lostBy(faults []*fault, result string) bool {
	for _, a := range e.attempts {
		if (result == "" || a.acknowledged() && a.guard == result) && lossBetween(a.begun, a.ended+lagWithin, faults) {
			return true
		}
	}
	return false
}

func lossBetween(from, to moment, faults []*fault) bool {
	for _, f := range faults {
		if f.loses && f.lasted(from, to) {
			return true
		}
	}
	return false
}

// explainKept is explain for an event of an inbox.
func (r rules) explainKept(first, again *call, faults []*fault) *cause {
	if c := ofTheApp(first, again); c != nil {
		return c
	}
	settled := settledBy(first, faults)
	for _, f := range faults {
		if name := blameKept(first, again, f, settled); name != "" {
			return &cause{name, f}
		}
	}
	return nil
}

// settledBy is when the first call has been settled at the latest, if its gateway lives. The
// worker tells a store that does not answer again and again.
func settledBy(c *call, faults []*fault) moment {
	at := unlessStill(c, settleWithin, faults)
	for _, f := range faults { // in the order in which they began
		if f.hits == storeHit && f.concerns(c.gateway) && f.lasted(c.begun, at) {
			at = max(at, f.end+settleRetry)
		}
	}
	return at
}

// blameKept returns the cause that a fault explains, or "".
func blameKept(first, again *call, f *fault, settled moment) string {
	leaseOver := again.begun >= first.begun+eventLease*5/6
	switch {
	case f.start > again.begun:
		return ""
	case f.hits == storeHit && f.loses && f.lasted(first.begun, settled+lagWithin):
		return causeLoss
	case f.hits == gatewayFrozen && f.end-f.start >= eventLease && (f.concerns(first.gateway) || f.concerns(again.gateway)) &&
		f.lasted(first.begun-eventLease, settled):
		return causeFrozen
	case f.hits == gatewayFrozen && f.concerns(first.gateway) && f.start <= first.ended+limitSlack &&
		f.end >= first.begun+appLimit-limitSlack && again.begun >= first.begun+appLimit-limitSlack:
		return causeUnread
	case !leaseOver || !f.concerns(first.gateway):
		return ""
	case f.hits == gatewayKilled && f.struck >= first.begun && f.start <= settled:
		return causeUnsettled
	case f.hits == gatewayStopped && f.struck >= first.begun && f.start <= settled && settled > first.ended+settleWithin:
		return causeLeft
	case f.hits == storeHit && f.lasted(first.begun, settled) && settled >= first.begun+eventLease*5/6:
		return causeLateStore
	}
	return ""
}
