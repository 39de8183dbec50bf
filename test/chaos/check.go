package chaos

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
)

// verdict is the judgement on a run's record.
type verdict struct {
	rules rules
	// violations are what must not happen, in the order of the record. Those of one
	// event come with it.
	violations []violation
	repeats    []repeat

	requests     int
	acknowledged int
	duplicates   int // answered
	unavailable  int // 503
	// reset are connections that ended without an answer while a reload closed the old
	// listener. Linux and net/http treat the newest unread connections like that.
	reset       int
	lost        int
	unexplained int

	// Of inboxes: events that were dead at the end, copies that revived one, and events
	// that a failover has lost.
	dead, revived, lostInFailover int
}

// violation is something that must not happen.
type violation struct {
	event *event // nil where it is none's
	what  string
}

// repeat is an explained case of an event that reached the app again after a success,
// or during another call of it.
type repeat struct {
	event        *event
	first, again *call
	cause        cause
}

// twice is whether the app handled the event twice for it.
func (r repeat) twice() bool { return r.first.work && r.again.work }

// judge checks a record. Nothing may be added to it any more. It puts the calls of each
// event into the order in which the gateways sent them, which the app may not have kept.
func judge(rec *record, r rules) *verdict {
	v := &verdict{rules: r}
	for _, what := range rec.strays {
		v.add(nil, "unverified: %s", what)
	}
	for _, a := range rec.forged {
		v.judgeForgery(a)
	}
	for _, e := range rec.events {
		slices.SortStableFunc(e.calls, func(a, b *call) int { return cmp.Compare(a.begun, b.begun) })
		if r.inbox {
			v.judgeKept(e, rec.faults)
		} else {
			v.judgeOutcome(e)
		}
		v.judgeCalls(e, rec.faults)
		for _, a := range e.attempts {
			v.judgeAnswer(e, a, rec.faults)
		}
	}
	return v
}

func (v *verdict) add(e *event, format string, args ...any) {
	v.violations = append(v.violations, violation{e, fmt.Sprintf(format, args...)})
}

// judgeForgery checks that nothing forged was forwarded, whatever fault the gateway had.
func (v *verdict) judgeForgery(a *attempt) {
	v.requests++
	switch a.status {
	case 0, http.StatusUnauthorized, http.StatusForbidden:
	default:
		v.add(nil, "a forgery (attempt %d) got %d %q from gateway %d", a.n, a.status, a.guard, a.gateway)
	}
}

// judgeOutcome checks that every event is acknowledged in the end, and that the app
// handled each one that is.
func (v *verdict) judgeOutcome(e *event) {
	acknowledged := false
	for _, a := range e.attempts {
		if !a.acknowledged() {
			continue
		}
		acknowledged = acknowledged || a.kind != replay
		if !e.handledBefore(a) {
			v.lost++
			v.add(e, "lost: attempt %d was answered %d %q at %v, but the app had not handled the event with that status", a.n, a.status, a.guard, a.ended)
		}
	}
	if !acknowledged {
		v.add(e, "never acknowledged")
		return
	}
	v.acknowledged++
}

// handledBefore reports whether the app had answered success before a success was passed
// on: with the same status, and, if it was forwarded, in this very attempt.
func (e *event) handledBefore(a *attempt) bool {
	for _, c := range e.calls {
		if c.work && c.whole && c.decided <= a.ended && c.status == a.status && (a.guard != "forwarded" || c.attempt == a.n) {
			return true
		}
	}
	return false
}

// judgeCalls checks that a handled event, or one in progress, does not reach the app
// again, unless something explains it.
func (v *verdict) judgeCalls(e *event, faults []*fault) {
	for i, first := range e.calls {
		for _, again := range e.calls[i+1:] {
			if !first.work && again.begun >= first.decided {
				continue // it failed, and is tried again
			}
			cause := v.rules.explain(e, first, again, faults)
			if cause == nil {
				v.unexplained++
				v.add(e, "unexplained: call of attempt %d at %v though that of attempt %d began at %v and ended %v with success %v",
					again.attempt, again.begun, first.attempt, first.begun, first.decided, first.work)
				continue
			}
			v.repeats = append(v.repeats, repeat{e, first, again, *cause})
		}
	}
}

// judgeAnswer checks that senders see success, 503, the app's own failure or, where a
// gateway ends, nothing. A 503 and a sender's time-out need no fault: on a busy machine
// the store's deadline can pass without one, and the sender retries.
func (v *verdict) judgeAnswer(e *event, a *attempt, faults []*fault) {
	v.requests++
	switch {
	case a.acknowledged() && v.rules.inbox:
		v.judgeKeptAnswer(e, a, faults)
	case a.acknowledged():
		switch a.guard {
		case "forwarded":
		case "duplicate":
			v.duplicates++
		default:
			v.add(e, "attempt %d was answered %d %q", a.n, a.status, a.guard)
		}
	case a.hungUp || a.timeout:
	case a.status == 0:
		switch {
		case during(gatewayKilled, a, faults) || during(gatewayStopped, a, faults):
		case during(gatewayReloaded, a, faults) && !e.reached(a):
			v.reset++
		default:
			v.add(e, "attempt %d got no answer from gateway %d, which nothing explains: %s", a.n, a.gateway, a.err)
		}
	case a.guard == "in_flight" || a.guard == "store_unavailable":
		v.unavailable++
		if a.status != http.StatusServiceUnavailable {
			v.add(e, "attempt %d was answered %d %q", a.n, a.status, a.guard)
		}
	case a.guard != "upstream_failed" || !appFailed(e, a, faults):
		v.add(e, "attempt %d was answered %d %q, which the app does not explain", a.n, a.status, a.guard)
	}
}

// during reports whether a fault of that kind concerned an attempt.
func during(hits part, a *attempt, faults []*fault) bool {
	for _, f := range faults {
		if f.hits == hits && f.concerns(a.gateway) && f.lasted(a.begun, a.ended) {
			return true
		}
	}
	return false
}

// reached reports whether this very attempt reached the app.
func (e *event) reached(a *attempt) bool {
	return slices.ContainsFunc(e.calls, func(c *call) bool { return c.attempt == a.n })
}

// appFailed reports whether the app answered this very attempt with that failure, or
// refused the connection.
func appFailed(e *event, a *attempt, faults []*fault) bool {
	for _, c := range e.calls {
		if c.attempt != a.n {
			continue
		}
		switch a.status {
		case http.StatusGatewayTimeout:
			return c.decided-c.begun >= appLimit-limitSlack
		case http.StatusBadGateway:
			return !c.whole || c.status == a.status
		default:
			return c.whole && !c.work && c.status == a.status
		}
	}
	return a.status == http.StatusBadGateway && during(appDown, a, faults)
}
