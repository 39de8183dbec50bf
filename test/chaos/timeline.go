package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// maxShown bounds the timelines of a run that went badly wrong.
const maxShown = 10

// print fails the test on any violation, and logs each event that was handled twice.
func (v *verdict) print(tb testing.TB, rec *record) {
	tb.Helper()
	for _, r := range v.repeats {
		what := "handled twice"
		if !r.twice() {
			what = "came again"
		}
		tb.Logf("event %d of %s %s, at %s through gateway %d and at %s through gateway %d: %s", r.event.n, r.event.from.Name, what,
			seconds(r.first.begun), r.first.gateway, seconds(r.again.begun), r.again.gateway, r.cause)
	}
	for i, bad := range v.violations {
		if i == maxShown {
			tb.Errorf("and %d more", len(v.violations)-i)
			break
		}
		if bad.event == nil {
			tb.Error(bad.what)
			continue
		}
		tb.Errorf("event %d of %s (%s): %s\n%s", bad.event.n, bad.event.from.Name, bad.event.made.ID, bad.what, timeline(bad.event, rec.faults))
	}
}

func seconds(m moment) string { return fmt.Sprintf("%.3f s", m.Seconds()) }

func (f *fault) String() string {
	s := f.kind
	if f.gateway != everyGateway {
		s += fmt.Sprintf(" (gateway %d)", f.gateway)
	}
	if f.detail != "" {
		s += ", " + f.detail
	}
	if f.loses {
		s += ", with a failover"
	}
	if f.end != 0 {
		s += fmt.Sprintf(", from %s to %s", seconds(f.start), seconds(f.end))
	}
	return s
}

// timeline returns everything recorded of an event, and the faults around it.
func timeline(e *event, faults []*fault) string {
	type line struct {
		at   moment
		text string
	}
	var lines []line
	say := func(at moment, format string, args ...any) {
		lines = append(lines, line{at, fmt.Sprintf(format, args...)})
	}
	for _, a := range e.attempts {
		say(a.begun, "attempt %d (%s) to gateway %d", a.n, a.kind, a.gateway)
		say(a.ended, "attempt %d ends: %s", a.n, a.outcome())
	}
	for _, c := range e.calls {
		say(c.begun, "  call of attempt %d through gateway %d", c.attempt, c.gateway)
		say(c.decided, "  call of attempt %d: %s, status %d, work done %v", c.attempt, c.how, c.status, c.work)
		say(c.ended, "  call of attempt %d ends, answer whole %v", c.attempt, c.whole)
	}
	for _, m := range e.remarks {
		say(m.at, "      gateway %d logs: %s", m.gateway, m.text)
	}
	if len(lines) == 0 {
		return "nothing happened"
	}
	byTime := func(a, b line) int { return cmp.Compare(a.at, b.at) }
	first, last := slices.MinFunc(lines, byTime).at, slices.MaxFunc(lines, byTime).at
	for _, f := range faults {
		if f.lasted(first-2*time.Second, last) {
			say(f.start, "    FAULT %s", f)
			say(f.end, "    over: %s", f.kind)
		}
	}
	slices.SortStableFunc(lines, byTime)
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%12s  %s\n", seconds(l.at), l.text)
	}
	return b.String()
}

func (a *attempt) outcome() string {
	switch {
	case a.hungUp:
		return "hung up on purpose"
	case a.timeout:
		return "its sender's time-out"
	case a.status == 0:
		return a.err
	}
	return fmt.Sprintf("%d %q", a.status, a.guard)
}
