package chaos

import (
	"fmt"
	"time"
)

// rules state which causes are possible in a topology.
type rules struct {
	// shared reports whether a claim survives the gateway that made it.
	shared bool
	// inbox: senders are answered when their events are kept, not when they are handled.
	inbox bool
}

func rulesOf(topology string) rules {
	return rules{shared: topology != "disk", inbox: topologies[topology].inbox}
}

// Bounds on what the guard does by itself. They are approximations, since the harness
// does not see the guard's claims and commits: real times are far shorter, but a busy
// machine stretches them.
const (
	// commitWithin is the time after the app's answer within which a commit is tried,
	// where no sender is left to receive the result.
	commitWithin = 2 * time.Second
	// recoverWithin is the time after the store's recovery within which failed
	// operations have been retried.
	recoverWithin = 5 * time.Second
	// lagWithin is how far a replica may lag behind its master.
	lagWithin = time.Second
	// limitSlack is how much earlier the guard starts to time a call than it is sent.
	limitSlack = 500 * time.Millisecond
)

// cause explains why an event reached the app again.
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
	causeCut   = "the app broke off an answer"
	causeLate  = "the app answered after the guard's time limit"
	causeKill  = "gateway killed before its commit"
	causeEnd   = "gateway ended while the store did not take its commit"
	causeLoss  = "store lost a write in a failover"
	causeAway  = "store did not take the commit in time"
	causeLapse = "store away until the claim ran out under the app's work"
	causeStill = "gateway stood still until the claim ran out"
)

// explain returns why an event could reach the app again, as call again, although call
// first had succeeded or was in progress. nil means that nothing explains it. Of
// several causes it returns the most specific one.
func (r rules) explain(e *event, first, again *call, faults []*fault) *cause {
	if r.inbox {
		return r.explainKept(first, again, faults)
	}
	if c := ofTheApp(first, again); c != nil {
		return c
	}
	settled := unlessStill(first, commitWithin, faults)
	for _, blame := range []func(e *event, first, again *call, f *fault, settled moment) string{r.blameEnd, r.blameAway, r.blameStill, r.blameLoss} {
		for _, f := range faults {
			if !f.concerns(first.gateway) || again.begun < f.start {
				continue
			}
			if name := blame(e, first, again, f, settled); name != "" {
				return &cause{name, f}
			}
		}
	}
	return nil
}

// ofTheApp returns the cause that the app itself is, or nil.
func ofTheApp(first, again *call) *cause {
	switch {
	case first.work && !first.whole && again.begun >= first.decided:
		return &cause{name: causeCut}
	case first.decided-first.begun >= appLimit-limitSlack && again.begun >= first.begun+appLimit-limitSlack:
		return &cause{name: causeLate}
	}
	return nil
}

// blameEnd returns the cause that the end of the first call's gateway explains, or "".
func (r rules) blameEnd(e *event, first, again *call, f *fault, settled moment) string {
	if f.hits != gatewayKilled && f.hits != gatewayStopped {
		return ""
	}
	if failed := e.uncommitted(first); failed != nil && failed.at <= f.struck {
		return causeEnd
	}
	// A gateway that stops gracefully has settled its calls.
	if f.hits == gatewayKilled && f.struck >= first.begun && e.unanswered(first, f.start, settled) && r.lapsed(first.begun, again) {
		return causeKill
	}
	return ""
}

// blameStill returns the cause that a gateway that stood still explains, or "": it neither
// renewed its claim nor committed the success until the claim had run out.
func (r rules) blameStill(_ *event, first, again *call, f *fault, _ moment) string {
	if f.hits == gatewayFrozen && f.end-f.start >= lease/3 && f.lasted(first.begun, first.ended+commitWithin) &&
		r.lapsed(first.begun, again) && again.begun <= f.end+commitWithin {
		return causeStill
	}
	return ""
}

// blameAway returns the cause that an unreachable store explains, or "".
func (r rules) blameAway(e *event, first, again *call, f *fault, _ moment) string {
	if f.hits != storeHit || !r.lapsed(first.begun, again) {
		return ""
	}
	if failed := e.uncommitted(first); failed != nil && f.lasted(failed.at-recoverWithin, again.begun) && again.begun <= f.end+recoverWithin {
		return causeAway
	}
	if f.lasted(first.begun, first.decided) && r.lapsed(f.start, again) && again.begun <= first.ended+commitWithin {
		return causeLapse
	}
	return ""
}

// blameLoss returns the cause that a store with lost writes explains, or "". Writes may
// be lost that a master confirmed shortly before it failed, or before it learned that
// it is no longer the master.
func (rules) blameLoss(_ *event, first, _ *call, f *fault, _ moment) string {
	if f.hits == storeHit && f.loses && f.lasted(first.begun, first.ended+commitWithin+lagWithin) {
		return causeLoss
	}
	return ""
}

// concerns reports whether a fault affected a gateway.
func (f *fault) concerns(gateway int) bool {
	return f.gateway == everyGateway || f.gateway == gateway
}

// lapsed reports whether a claim that was valid at a moment can have expired by another
// call: nothing is forwarded on less than half of a lease, and renewals are tried
// before that is reached.
func (r rules) lapsed(from moment, again *call) bool {
	return !r.shared || again.begun >= from+lease/2
}

// uncommitted returns the log line in which the call's gateway reports that the success
// could not be committed, or nil.
func (e *event) uncommitted(c *call) *remark {
	for i, m := range e.remarks {
		if m.uncommitted && m.gateway == c.gateway && m.at >= c.decided {
			return &e.remarks[i]
		}
	}
	return nil
}

// unanswered reports whether a call's sender had no answer by then, so that the commit
// may not have been made. Where the sender had hung up, only the time decides: settled is when
// it has been made at the latest.
func (e *event) unanswered(c *call, by, settled moment) bool {
	for _, a := range e.attempts {
		if a.acknowledged() && a.ended >= c.decided && a.ended < by {
			return false // the same goes for any other answer after it
		}
		if a.n == c.attempt && a.ended < by && by > settled {
			return false
		}
	}
	return true
}
