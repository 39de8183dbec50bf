package chaos

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const ms = time.Millisecond

// well is a record without a violation: one event, one call, one answer. The
// cases below change it.
func well() (*record, *event, *call, *attempt) {
	rec := newRecord()
	e := rec.register(testbed.Struktr(), testbed.Event{}.Fill())
	a := rec.begin(e, genuine, 0)
	a.begun, a.ended, a.status, a.guard = 1000*ms, 1100*ms, 200, "forwarded"
	c := &call{attempt: a.n, gateway: 0, begun: 1010 * ms, decided: 1020 * ms, ended: 1021 * ms, status: 200, work: true, whole: true}
	e.calls = []*call{c}
	return rec, e, c, a
}

// again adds a second call of the event, which succeeds.
func again(e *event, begun moment, gateway int) *call {
	c := &call{attempt: 99, gateway: gateway, begun: begun, decided: begun + 10*ms, ended: begun + 11*ms, status: 200, work: true, whole: true}
	e.calls = append(e.calls, c)
	return c
}

// broke makes an attempt one whose connection broke.
func broke(a *attempt) { a.status, a.guard, a.err, a.ended = 0, "", "EOF", 1030*ms }

// retried adds an attempt that was answered.
func retried(rec *record, e *event, status int, guard string) *attempt {
	a := rec.begin(e, genuine, 1)
	a.begun, a.ended, a.status, a.guard = 9000*ms, 9100*ms, status, guard
	return a
}

func breaks(rec *record, hits part, gateway int, start, end moment) *fault {
	f := &fault{kind: "fault", hits: hits, gateway: gateway, start: start, struck: start + 2*ms, end: end}
	rec.faults = append(rec.faults, f)
	return f
}

// change turns the record of well into a case.
type change func(rec *record, e *event, first *call, a *attempt)

// withFault makes a fault, and a second call of the event at a time through a gateway.
func withFault(hits part, gateway int, start, end, at moment, through int) change {
	return func(rec *record, e *event, _ *call, _ *attempt) {
		breaks(rec, hits, gateway, start, end)
		again(e, at, through)
	}
}

// brokenWithFault is withFault where the connection of the first attempt broke.
func brokenWithFault(hits part, gateway int, start, end, at moment, through int) change {
	return func(rec *record, e *event, first *call, a *attempt) {
		broke(a)
		withFault(hits, gateway, start, end, at, through)(rec, e, first, a)
	}
}

func notTaken(e *event, gateway int, at moment) {
	e.remarks = append(e.remarks, remark{at: at, gateway: gateway, uncommitted: true})
}

func TestCheckFailsWhatMustNotHappen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change change
		want   string // in a violation; "" for none
	}{
		"nothing wrong": {func(*record, *event, *call, *attempt) {}, ""},

		"acknowledged and never called": {func(_ *record, e *event, _ *call, _ *attempt) { e.calls = nil }, "lost"},
		"acknowledged before the success": {func(_ *record, _ *event, first *call, a *attempt) {
			first.decided = a.ended + 1
		}, "lost"},
		"acknowledged though the app failed":       {func(_ *record, _ *event, first *call, _ *attempt) { first.work = false }, "lost"},
		"acknowledged though the answer was cut":   {func(_ *record, _ *event, first *call, _ *attempt) { first.whole = false }, "lost"},
		"acknowledged with another status":         {func(_ *record, _ *event, _ *call, a *attempt) { a.status = 202 }, "lost"},
		"forwarded by the call of another attempt": {func(_ *record, _ *event, first *call, _ *attempt) { first.attempt = 98 }, "lost"},
		"duplicate of a success":                   {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 200, "duplicate") }, ""},
		"duplicate with another status":            {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 204, "duplicate") }, "lost"},
		"2xx that is neither":                      {func(_ *record, _ *event, _ *call, a *attempt) { a.guard = "handshake" }, `answered 200 "handshake"`},
		"never acknowledged": {func(_ *record, _ *event, _ *call, a *attempt) {
			a.status, a.guard = 503, "in_flight"
		}, "never acknowledged"},
		"acknowledged to an attacker only": {func(_ *record, _ *event, _ *call, a *attempt) { a.kind = replay }, "never acknowledged"},

		"something unverified arrived": {func(rec *record, _ *event, _ *call, _ *attempt) { rec.stray("a body") }, "unverified: a body"},
		"forgery refused": {func(rec *record, _ *event, _ *call, _ *attempt) {
			rec.begin(nil, forgery, 0).status = 401
		}, ""},
		"forgery accepted": {func(rec *record, _ *event, _ *call, _ *attempt) {
			rec.begin(nil, forgery, 0).status = 200
		}, "a forgery"},

		"no answer": {func(rec *record, e *event, _ *call, a *attempt) { broke(a); retried(rec, e, 200, "duplicate") }, "which nothing explains"},
		"no answer, another gateway ends": {func(rec *record, e *event, _ *call, a *attempt) {
			broke(a)
			retried(rec, e, 200, "duplicate")
			breaks(rec, gatewayKilled, 1, 900*ms, 2000*ms)
		}, "which nothing explains"},
		"no answer, killed": {func(rec *record, e *event, _ *call, a *attempt) {
			broke(a)
			retried(rec, e, 200, "duplicate")
			breaks(rec, gatewayKilled, 0, 1015*ms, 2000*ms)
		}, ""},
		"no answer, killed before": {func(rec *record, e *event, _ *call, a *attempt) {
			broke(a)
			retried(rec, e, 200, "duplicate")
			breaks(rec, gatewayKilled, 0, 500*ms, 900*ms)
		}, "which nothing explains"},
		"no answer, reloaded under the app's work": {func(rec *record, e *event, _ *call, a *attempt) {
			broke(a)
			retried(rec, e, 200, "duplicate")
			breaks(rec, gatewayReloaded, 0, 900*ms, 2000*ms)
		}, "which nothing explains"},
		"hung up": {func(rec *record, e *event, _ *call, a *attempt) {
			broke(a)
			a.hungUp = true
			retried(rec, e, 200, "duplicate")
		}, ""},
		"4xx":                       {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 403, "timestamp_stale") }, "which the app does not explain"},
		"503 for no reason of ours": {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 503, "misconfigured") }, "which the app does not explain"},
		"in flight, not 503":        {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 409, "in_flight") }, "answered 409"},
		"502 without a call":        {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 502, "upstream_failed") }, "which the app does not explain"},
		"502 while the app was down": {func(rec *record, e *event, _ *call, _ *attempt) {
			retried(rec, e, 502, "upstream_failed")
			breaks(rec, appDown, everyGateway, 9050*ms, 9500*ms)
		}, ""},
		"502 after the app was down": {func(rec *record, e *event, _ *call, _ *attempt) {
			retried(rec, e, 502, "upstream_failed")
			breaks(rec, appDown, everyGateway, 8000*ms, 8500*ms)
		}, "which the app does not explain"},
		"500 that the app never gave": {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 500, "upstream_failed") }, "which the app does not explain"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec, e, first, a := well()
			c.change(rec, e, first, a)
			wantVerdict(t, judge(rec, rules{shared: true}), c.want)
		})
	}
}

func wantVerdict(t *testing.T, v *verdict, want string) {
	t.Helper()
	var all []string
	for _, bad := range v.violations {
		all = append(all, bad.what)
	}
	text := strings.Join(all, "\n")
	if want == "" && text != "" || !strings.Contains(text, want) {
		t.Errorf("violations are:\n%s\nwant %q", text, want)
	}
}

// The first call is a success at 1.02 s through gateway 0.
func TestCheckWantsAnExplanationOfWhatIsHandledTwice(t *testing.T) {
	t.Parallel()
	const unexplained = "unexplained"
	for name, c := range map[string]struct {
		change change
		want   string // the cause
		disk   bool
	}{
		"nothing":               {func(_ *record, e *event, _ *call, _ *attempt) { again(e, 5000*ms, 1) }, unexplained, false},
		"a fault that was over": {withFault(storeHit, everyGateway, 100*ms, 900*ms, 5000*ms, 1), unexplained, false},
		"a reload":              {withFault(gatewayReloaded, 0, 900*ms, 6000*ms, 5000*ms, 1), unexplained, false},
		"the app was down":      {withFault(appDown, everyGateway, 900*ms, 6000*ms, 5000*ms, 1), unexplained, false},
		"a failure in between":  {func(_ *record, e *event, _ *call, _ *attempt) { again(e, 5000*ms, 1).work = false }, unexplained, false},
		"a copy at the same time": {func(_ *record, e *event, first *call, _ *attempt) {
			first.work, first.decided = false, 1500*ms
			again(e, 1200*ms, 1)
		}, unexplained, false},
		"a first failure": {func(rec *record, e *event, first *call, a *attempt) {
			first.work, first.status, a.status, a.guard = false, 500, 500, "upstream_failed"
			c := again(e, 5000*ms, 1)
			c.attempt = retried(rec, e, 200, "forwarded").n
		}, "", false},

		"cut":            {func(_ *record, e *event, first *call, _ *attempt) { first.whole = false; again(e, 1040*ms, 1) }, causeCut, false},
		"cut, but later": {func(_ *record, e *event, first *call, _ *attempt) { first.whole = false; again(e, 1015*ms, 1) }, unexplained, false},
		"late":           {func(_ *record, e *event, first *call, _ *attempt) { first.decided = 7100 * ms; again(e, 6050*ms, 1) }, causeLate, false},
		"late, but not yet": {func(_ *record, e *event, first *call, _ *attempt) {
			first.decided = 7100 * ms
			again(e, 3000*ms, 1)
		}, unexplained, false},

		"killed before the answer":                 {brokenWithFault(gatewayKilled, 0, 1022*ms, 2000*ms, 5000*ms, 1), causeKill, false},
		"killed under the app's work":              {brokenWithFault(gatewayKilled, 0, 1012*ms, 2000*ms, 5000*ms, 1), causeKill, false},
		"stopped, not killed":                      {brokenWithFault(gatewayStopped, 0, 1022*ms, 2000*ms, 5000*ms, 1), unexplained, false},
		"killed, but its claim was still there":    {brokenWithFault(gatewayKilled, 0, 1022*ms, 2000*ms, 2000*ms, 1), unexplained, false},
		"killed on disk, where claims end with it": {brokenWithFault(gatewayKilled, 0, 1022*ms, 2000*ms, 2000*ms, 0), causeKill, true},
		"killed after the answer":                  {withFault(gatewayKilled, 0, 1200*ms, 2000*ms, 5000*ms, 1), unexplained, false},
		"killed after a copy's answer": {func(rec *record, e *event, _ *call, a *attempt) {
			broke(a)
			a.ended = 1300 * ms
			other := rec.begin(e, copied, 1)
			other.begun, other.ended, other.status, other.guard = 1000*ms, 1100*ms, 200, "duplicate"
			breaks(rec, gatewayKilled, 0, 1200*ms, 2000*ms)
			again(e, 5000*ms, 1)
		}, unexplained, false},
		"another gateway killed": {brokenWithFault(gatewayKilled, 1, 1022*ms, 2000*ms, 5000*ms, 1), unexplained, false},
		"killed long after a hang-up": {func(rec *record, e *event, _ *call, a *attempt) {
			broke(a)
			a.hungUp = true
			breaks(rec, gatewayKilled, 0, 4000*ms, 5000*ms)
			again(e, 8000*ms, 1)
		}, unexplained, false},

		"stood still until its claim ran out":        {withFault(gatewayFrozen, 0, 1015*ms, 5000*ms, 4500*ms, 1), causeStill, false},
		"stood still, but its claim was still there": {withFault(gatewayFrozen, 0, 1015*ms, 5000*ms, 2000*ms, 1), unexplained, false},
		"stood still for a moment":                   {withFault(gatewayFrozen, 0, 1015*ms, 1900*ms, 2900*ms, 1), unexplained, false},
		"stood still long before":                    {withFault(gatewayFrozen, 0, 1015*ms, 3000*ms, 9000*ms, 1), unexplained, false},
		"stood still long after":                     {withFault(gatewayFrozen, 0, 4000*ms, 9000*ms, 8000*ms, 1), unexplained, false},
		"another gateway stood still":                {withFault(gatewayFrozen, 1, 1015*ms, 5000*ms, 4500*ms, 1), unexplained, false},
		"killed long after a hang-up, having stood still till then": {func(rec *record, e *event, _ *call, a *attempt) {
			broke(a)
			a.hungUp = true
			breaks(rec, gatewayFrozen, 0, 1015*ms, 3500*ms)
			breaks(rec, gatewayKilled, 0, 4000*ms, 5000*ms)
			again(e, 8000*ms, 1)
		}, causeKill, false},

		"commit not taken": {func(rec *record, e *event, _ *call, _ *attempt) {
			breaks(rec, storeHit, everyGateway, 1015*ms, 4000*ms)
			notTaken(e, 0, 1600*ms)
			again(e, 4100*ms, 1)
		}, causeAway, false},
		"commit not taken, by a store that was late by itself": {func(rec *record, e *event, _ *call, _ *attempt) {
			rec.overloaded([]remark{{at: 1300 * ms, gateway: 1, late: true}, {at: 1600 * ms, late: true}, {at: 9000 * ms}})
			notTaken(e, 0, 1600*ms)
			again(e, 4100*ms, 1)
		}, causeAway, false},
		"commit not taken, by a store that was late at another time": {func(rec *record, e *event, _ *call, _ *attempt) {
			rec.overloaded([]remark{{at: 20000 * ms, late: true}})
			notTaken(e, 0, 1600*ms)
			again(e, 4100*ms, 1)
		}, unexplained, false},
		"commit not taken, on the way of another gateway": {func(rec *record, e *event, _ *call, _ *attempt) {
			breaks(rec, storeHit, 1, 1015*ms, 4000*ms)
			notTaken(e, 0, 1600*ms)
			again(e, 4100*ms, 1)
		}, unexplained, false},
		"commit taken, though the store was away then": {withFault(storeHit, everyGateway, 1022*ms, 4000*ms, 4100*ms, 1), unexplained, false},
		"commit not taken, and never tried again": {func(rec *record, e *event, _ *call, _ *attempt) {
			breaks(rec, storeHit, everyGateway, 1015*ms, 4000*ms)
			notTaken(e, 0, 1600*ms)
			again(e, 4000*ms+recoverWithin+1, 1)
		}, unexplained, false},
		"commit not taken, and then killed": {func(rec *record, e *event, _ *call, _ *attempt) {
			breaks(rec, storeHit, everyGateway, 1015*ms, 4000*ms)
			notTaken(e, 0, 1600*ms)
			breaks(rec, gatewayKilled, 0, 3500*ms, 6000*ms)
			again(e, 20000*ms, 1)
		}, causeEnd, false},
		"commit not taken, another's word": {func(rec *record, e *event, _ *call, _ *attempt) {
			breaks(rec, storeHit, everyGateway, 1015*ms, 4000*ms)
			notTaken(e, 1, 1600*ms)
			again(e, 4100*ms, 1)
		}, unexplained, false},
		"claim ran out under the app's work": {func(rec *record, e *event, first *call, _ *attempt) {
			first.decided, first.ended = 5000*ms, 5001*ms
			breaks(rec, storeHit, everyGateway, 1200*ms, 4500*ms)
			again(e, 4600*ms, 1)
		}, causeLapse, false},
		"claim cannot have run out": {func(rec *record, e *event, first *call, _ *attempt) {
			first.decided, first.ended = 5000*ms, 5001*ms
			breaks(rec, storeHit, everyGateway, 4000*ms, 4500*ms)
			again(e, 4600*ms, 1)
		}, unexplained, false},
		"write lost": {func(rec *record, e *event, _ *call, _ *attempt) {
			breaks(rec, storeHit, everyGateway, 1500*ms, 4000*ms).loses = true
			again(e, 90000*ms, 1)
		}, causeLoss, false},
		"write lost long after it": {func(rec *record, e *event, _ *call, _ *attempt) {
			breaks(rec, storeHit, everyGateway, 6000*ms, 9000*ms).loses = true
			again(e, 90000*ms, 1)
		}, unexplained, false},
		"write lost after the second call": {func(rec *record, e *event, _ *call, _ *attempt) {
			breaks(rec, storeHit, everyGateway, 1500*ms, 4000*ms).loses = true
			again(e, 1400*ms, 1)
		}, unexplained, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec, e, first, a := well()
			c.change(rec, e, first, a)
			v := judge(rec, rules{shared: !c.disk})
			switch {
			case c.want == "" || c.want == unexplained:
				if found := v.unexplained > 0; found != (c.want == unexplained) || len(v.repeats) > 0 {
					t.Errorf("%d unexplained, explained %v; want %q", v.unexplained, v.repeats, c.want)
				}
			case v.unexplained > 0 || len(v.repeats) != 1 || v.repeats[0].cause.name != c.want:
				t.Errorf("%d unexplained, explained %v; want the cause %q", v.unexplained, v.repeats, c.want)
			}
		})
	}
}

// Every pair of calls needs an explanation of its own: what explains a second call does
// not explain a third.
func TestCheckLooksAtEveryPairOfCalls(t *testing.T) {
	t.Parallel()
	rec, e, first, _ := well()
	first.whole = false // explains both that follow it
	again(e, 2000*ms, 1)
	again(e, 3000*ms, 1)
	v := judge(rec, rules{shared: true})
	if len(v.repeats) != 2 || v.unexplained != 1 {
		t.Errorf("%d explained and %d unexplained, want 2 and 1", len(v.repeats), v.unexplained)
	}
}

// On a busy machine the app reads what a gateway sent before it was killed only after the
// kill, or after the next call of the event.
func TestCheckGoesByWhenCallsWereSent(t *testing.T) {
	t.Parallel()
	h := http.Header{sentHeader: {time.Now().String()}}
	rec, e, first, a := well()
	sent, err := sentAt(h)
	if err != nil {
		t.Fatal(err)
	}
	rec.begun = sent.Add(-1010 * ms)
	e.calls = nil
	again(e, 5000*ms, 1)
	_, late, nth := rec.called(e.from.Body(e.made), a.n, 0, sent)
	if late == nil || late.begun != first.begun || nth != 1 {
		t.Fatalf("call %+v, the %d. of its event", late, nth+1)
	}
	late.decided, late.ended, late.status, late.work, late.whole = 5500*ms, 5501*ms, 200, true, true
	broke(a)
	breaks(rec, gatewayKilled, 0, 1012*ms, 2000*ms)
	if v := judge(rec, rules{shared: true}); v.unexplained > 0 || len(v.repeats) != 1 || v.repeats[0].first != late {
		t.Errorf("%d unexplained, explained %v; want the late call to be the first", v.unexplained, v.repeats)
	}
	if _, err := sentAt(http.Header{sentHeader: {"{time.now}"}}); err == nil {
		t.Error("a stamp that is none was read")
	}
}

// A gateway that a fault froze did not stand still by itself.
func TestStallsAreWhatNoFaultExplains(t *testing.T) {
	t.Parallel()
	rec := newRecord()
	breaks(rec, gatewayFrozen, 0, 1000*ms, 4000*ms)
	var s stalls
	s.add(0, 900*ms, 4100*ms)
	s.add(1, 2000*ms, 3500*ms)
	s.add(0, 9000*ms, 11000*ms)
	if found := s.byThemselves(rec.faults); len(found) != 2 || found[0].gateway != 1 || found[1].start != 9000*ms {
		t.Errorf("%v, want the stalls that the injected fault does not explain", found)
	}
}

// A store that was late within a fault, or soon after it, is no fault of its own.
func TestOverloadIsWhatNoFaultExplains(t *testing.T) {
	t.Parallel()
	rec := newRecord()
	breaks(rec, storeHit, everyGateway, 1000*ms, 4000*ms)
	late := func(at moment) remark { return remark{at: at, late: true} }
	rec.overloaded([]remark{late(30000 * ms), late(2000 * ms), late(31000 * ms), late(4000*ms + storeLimit), late(50000 * ms), {at: 70000 * ms}})
	if len(rec.faults) != 3 {
		t.Fatalf("%d faults, want the one that was injected and two more: %v", len(rec.faults), rec.faults)
	}
	if f := rec.faults[1]; f.kind != overload || f.start != 30000*ms-lease || f.end != 31000*ms {
		t.Errorf("the first is %v", f)
	}
}
