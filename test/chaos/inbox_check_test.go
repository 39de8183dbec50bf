package chaos

import (
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// keptWell is a record of an inbox without a violation: one event, accepted by one gateway
// and delivered by another.
func keptWell() (*record, *event, *call, *attempt) {
	rec := newRecord()
	e := rec.register(testbed.Struktr(), testbed.Event{}.Fill())
	a := rec.begin(e, genuine, 1)
	a.begun, a.ended, a.status, a.guard = 1000*ms, 1100*ms, 200, "accepted"
	c := &call{attempt: a.n, gateway: 0, begun: 1110 * ms, decided: 1120 * ms, ended: 1121 * ms, status: 200, work: true, whole: true}
	e.calls = []*call{c}
	return rec, e, c, a
}

// gone makes the event one that nobody has any more.
func gone(e *event) { e.calls, e.missing = nil, true }

// gaveUp makes the event one that the app refuses for good.
func gaveUp(e *event, first *call) { first.work, first.status, e.dead = false, finalStatus, true }

func TestCheckOfAnInboxFailsWhatMustNotHappen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change change
		want   string // in a violation; "" for none
	}{
		"nothing wrong": {func(*record, *event, *call, *attempt) {}, ""},
		"delivered later": {func(_ *record, _ *event, first *call, _ *attempt) {
			first.begun, first.decided, first.ended = 9000*ms, 9010*ms, 9011*ms
		}, ""},
		"a copy while queued": {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 200, "queued") }, ""},
		"a copy afterwards":   {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 200, "duplicate") }, ""},
		"never acknowledged":  {func(_ *record, _ *event, _ *call, a *attempt) { a.status, a.guard = 503, "store_unavailable" }, "never acknowledged"},
		"acknowledged to an attacker only": {func(_ *record, _ *event, _ *call, a *attempt) {
			a.kind = replay
		}, "never acknowledged"},

		"accepted and gone":                 {func(_ *record, e *event, _ *call, _ *attempt) { gone(e) }, "lost: it was acknowledged, and neither"},
		"accepted, and nothing at the end":  {func(_ *record, e *event, _ *call, _ *attempt) { e.calls = nil }, "lost: it was acknowledged, and is neither"},
		"accepted, and the app only failed": {func(_ *record, _ *event, first *call, _ *attempt) { first.work = false }, "lost"},
		"accepted, and the answer was cut":  {func(_ *record, _ *event, first *call, _ *attempt) { first.whole = false }, "lost"},
		"gone, by a failover": {func(rec *record, e *event, _ *call, _ *attempt) {
			gone(e)
			breaks(rec, storeHit, everyGateway, 1090*ms, 4000*ms).loses = true
		}, ""},
		"gone, by a failover long afterwards": {func(rec *record, e *event, _ *call, _ *attempt) {
			gone(e)
			breaks(rec, storeHit, everyGateway, 9000*ms, 12000*ms).loses = true
		}, "lost"},
		"gone, by a fault without a failover": {func(rec *record, e *event, _ *call, _ *attempt) {
			gone(e)
			breaks(rec, storeHit, everyGateway, 1090*ms, 4000*ms)
		}, "lost"},
		"dead":                            {func(_ *record, e *event, first *call, _ *attempt) { gaveUp(e, first) }, ""},
		"dead, and the app never said so": {func(_ *record, e *event, _ *call, _ *attempt) { e.dead = true }, "dead, though"},
		"dead, and revived": {func(rec *record, e *event, first *call, _ *attempt) {
			gaveUp(e, first)
			retried(rec, e, 200, "revived")
		}, ""},
		"revived, and was not dead": {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 200, "revived") }, "revived it"},

		"accepted twice": {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 200, "accepted") }, "accepted twice"},
		"accepted twice, with a failover between": {func(rec *record, e *event, _ *call, _ *attempt) {
			breaks(rec, storeHit, everyGateway, 3000*ms, 4000*ms).loses = true
			retried(rec, e, 200, "accepted")
		}, ""},
		"a duplicate before the app has had it": {func(rec *record, e *event, first *call, _ *attempt) {
			first.begun, first.decided, first.ended = 20000*ms, 20010*ms, 20011*ms
			retried(rec, e, 200, "duplicate")
		}, "had not handled the event"},
		"a duplicate of what a failover lost, before it came again": {func(rec *record, e *event, first *call, _ *attempt) {
			breaks(rec, storeHit, everyGateway, 1090*ms, 4000*ms).loses = true
			first.begun, first.decided, first.ended = 20000*ms, 20010*ms, 20011*ms
			retried(rec, e, 200, "duplicate")
			retried(rec, e, 200, "accepted")
		}, ""},
		"a duplicate before the app has had it, with a failover long afterwards": {func(rec *record, e *event, first *call, _ *attempt) {
			breaks(rec, storeHit, everyGateway, 9000*ms, 12000*ms).loses = true
			first.begun, first.decided, first.ended = 20000*ms, 20010*ms, 20011*ms
			retried(rec, e, 200, "duplicate")
		}, "had not handled the event"},
		"forwarded":             {func(_ *record, _ *event, _ *call, a *attempt) { a.guard = "forwarded" }, `answered 200 "forwarded"`},
		"accepted with a 202":   {func(_ *record, _ *event, _ *call, a *attempt) { a.status = 202 }, "answered 202"},
		"the app's own failure": {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 500, "upstream_failed") }, "which the app does not explain"},
		"full":                  {func(rec *record, e *event, _ *call, _ *attempt) { retried(rec, e, 503, "overloaded") }, "which the app does not explain"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec, e, first, a := keptWell()
			c.change(rec, e, first, a)
			wantVerdict(t, judge(rec, rules{shared: true, inbox: true}), c.want)
		})
	}
}

// The first call is a success at 1.12 s through gateway 0, which may have taken the event
// for 30 s.
func TestCheckOfAnInboxWantsAnExplanationOfWhatIsDeliveredTwice(t *testing.T) {
	t.Parallel()
	const unexplained = "unexplained"
	for name, c := range map[string]struct {
		change change
		want   string // the cause
	}{
		"nothing":               {func(_ *record, e *event, _ *call, _ *attempt) { again(e, 40000*ms, 1) }, unexplained},
		"a reload":              {withFault(gatewayReloaded, 0, 900*ms, 6000*ms, 40000*ms, 1), unexplained},
		"an app away":           {withFault(appDown, everyGateway, 900*ms, 6000*ms, 40000*ms, 1), unexplained},
		"a sick app":            {withFault(appUnwell, everyGateway, 900*ms, 6000*ms, 40000*ms, 1), unexplained},
		"a second call at once": {func(_ *record, e *event, _ *call, _ *attempt) { again(e, 1115*ms, 1) }, unexplained},

		"cut":  {func(_ *record, e *event, first *call, _ *attempt) { first.whole = false; again(e, 1400*ms, 1) }, causeCut},
		"late": {func(_ *record, e *event, first *call, _ *attempt) { first.decided = 7200 * ms; again(e, 6150*ms, 1) }, causeLate},

		"killed before it was settled":          {withFault(gatewayKilled, 0, 1122*ms, 2000*ms, 31200*ms, 1), causeUnsettled},
		"killed before, and the lease not over": {withFault(gatewayKilled, 0, 1122*ms, 2000*ms, 9000*ms, 1), unexplained},
		"killed long after":                     {withFault(gatewayKilled, 0, 9000*ms, 12000*ms, 40000*ms, 1), unexplained},
		"another gateway killed":                {withFault(gatewayKilled, 1, 1122*ms, 2000*ms, 31200*ms, 1), unexplained},
		"stopped":                               {withFault(gatewayStopped, 0, 1122*ms, 2000*ms, 31200*ms, 1), unexplained},
		"killed long after, but the store was away till then": {func(rec *record, e *event, first *call, a *attempt) {
			breaks(rec, storeHit, everyGateway, 1115*ms, 8000*ms)
			withFault(gatewayKilled, 0, 9000*ms, 12000*ms, 40000*ms, 1)(rec, e, first, a)
		}, causeUnsettled},
		"stopped while the store was away": {func(rec *record, e *event, first *call, a *attempt) {
			breaks(rec, storeHit, everyGateway, 1115*ms, 8000*ms)
			withFault(gatewayStopped, 0, 5000*ms, 7000*ms, 40000*ms, 1)(rec, e, first, a)
		}, causeLeft},
		"frozen for moments":      {withFault(gatewayFrozen, 0, 1115*ms, 4000*ms, 31200*ms, 1), unexplained},
		"frozen beyond its lease": {withFault(gatewayFrozen, 0, 1115*ms, 35000*ms, 31200*ms, 1), causeFrozen},
		"frozen until its time limit, with the answer unread": {func(rec *record, e *event, first *call, a *attempt) {
			first.decided, first.ended = 5000*ms, 5001*ms
			withFault(gatewayFrozen, 0, 4500*ms, 6500*ms, 6600*ms, 0)(rec, e, first, a)
		}, causeUnread},
		"frozen after the answer was read": {func(rec *record, e *event, first *call, a *attempt) {
			first.decided, first.ended = 3000*ms, 3001*ms
			withFault(gatewayFrozen, 0, 4500*ms, 6500*ms, 6600*ms, 0)(rec, e, first, a)
		}, unexplained},
		"thawed before its time limit": {func(rec *record, e *event, first *call, a *attempt) {
			first.decided, first.ended = 3000*ms, 3001*ms
			withFault(gatewayFrozen, 0, 2500*ms, 5000*ms, 6600*ms, 0)(rec, e, first, a)
		}, unexplained},
		"another gateway frozen until its time limit": {func(rec *record, e *event, first *call, a *attempt) {
			first.decided, first.ended = 5000*ms, 5001*ms
			withFault(gatewayFrozen, 1, 4500*ms, 6500*ms, 6600*ms, 0)(rec, e, first, a)
		}, unexplained},
		"frozen long after":         {withFault(gatewayFrozen, 0, 9000*ms, 45000*ms, 40000*ms, 1), unexplained},
		"frozen before its attempt": {withFault(gatewayFrozen, 1, 900*ms, 35000*ms, 35100*ms, 1), causeFrozen},
		"a store away for a lease":  {withFault(storeHit, everyGateway, 1115*ms, 30000*ms, 31200*ms, 1), causeLateStore},
		"a store away for moments":  {withFault(storeHit, everyGateway, 1115*ms, 4000*ms, 31200*ms, 1), unexplained},
		"another's store away":      {withFault(storeHit, 1, 1115*ms, 30000*ms, 31200*ms, 1), unexplained},
		"the settlement lost": {func(rec *record, e *event, _ *call, _ *attempt) {
			breaks(rec, storeHit, everyGateway, 1500*ms, 4000*ms).loses = true
			again(e, 9000*ms, 1)
		}, causeLoss},
		"a loss long after": {func(rec *record, e *event, _ *call, _ *attempt) {
			breaks(rec, storeHit, everyGateway, 6000*ms, 9000*ms).loses = true
			again(e, 90000*ms, 1)
		}, unexplained},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec, e, first, a := keptWell()
			c.change(rec, e, first, a)
			v := judge(rec, rules{shared: true, inbox: true})
			switch {
			case c.want == unexplained:
				if v.unexplained == 0 || len(v.repeats) > 0 {
					t.Errorf("%d unexplained, explained %v; want no explanation", v.unexplained, v.repeats)
				}
			case v.unexplained > 0 || len(v.repeats) != 1 || v.repeats[0].cause.name != c.want:
				t.Errorf("%d unexplained, explained %v; want the cause %q", v.unexplained, v.repeats, c.want)
			}
		})
	}
}
