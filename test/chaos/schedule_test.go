package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// drawn returns a plan as text.
func drawn(seed uint64, length time.Duration) (lines []string, kinds map[string]bool, steps []planned) {
	var deck []faultKind
	for i := range 5 {
		deck = append(deck, faultKind{kind: fmt.Sprintf("kind %d", i), draw: func(r *rand.Rand) injection {
			return injection{fault: fault{gateway: r.IntN(3)}}
		}})
	}
	hold, interval := span(time.Second, 2*time.Second), span(time.Second, 3*time.Second)
	steps = plan(seed, length, []lane{{deck, hold, interval}, {nil, hold, interval}, {deck[:1], hold, interval}})
	kinds = make(map[string]bool)
	for _, s := range steps {
		kinds[s.fault.kind] = true
		lines = append(lines, fmt.Sprintf("%v %v %s", s.at, s.begin, s.fault))
	}
	return lines, kinds, steps
}

func TestSeedDecidesThePlan(t *testing.T) {
	t.Parallel()
	one, kinds, _ := drawn(1, 30*time.Second)
	same, _, _ := drawn(1, 30*time.Second)
	other, _, _ := drawn(2, 30*time.Second)
	if !slices.Equal(one, same) {
		t.Errorf("one seed, two plans:\n%q\n%q", one, same)
	}
	if slices.Equal(one, other) {
		t.Errorf("two seeds, one plan: %q", one)
	}
	if len(kinds) != 5 {
		t.Errorf("half a minute has %d of 5 kinds: %q", len(kinds), one)
	}
}

func TestEveryFaultOfAPlanEnds(t *testing.T) {
	t.Parallel()
	const length = 30 * time.Second
	for seed := range uint64(50) {
		_, _, steps := drawn(seed, length)
		open := make(map[*fault]bool)
		for _, s := range steps {
			if s.begin == open[s.fault] {
				t.Fatalf("seed %d: at %v a fault begins or ends twice", seed, s.at)
			}
			open[s.fault] = s.begin
			if s.at > length {
				t.Errorf("seed %d: a step at %v", seed, s.at)
			}
		}
		for f, still := range open {
			if still {
				t.Errorf("seed %d: %s does not end", seed, f)
			}
		}
	}
}

// replaced is a topology whose master was replaced once, at a time that nobody chose.
type replaced struct {
	topology
	at []time.Time
}

func (r *replaced) unasked() (since time.Time, happened bool) {
	if len(r.at) == 0 {
		return time.Time{}, false
	}
	since, r.at = r.at[0], r.at[1:]
	return since, true
}

func TestAFailoverThatNobodyAskedForIsAFaultThatLosesWrites(t *testing.T) {
	t.Parallel()
	rec := newRecord()
	w := &world{topology: &replaced{at: []time.Time{rec.begun.Add(-time.Second)}}, traffic: traffic{tb: t, rec: rec}}
	w.noteUnasked()
	w.noteUnasked()
	if len(rec.faults) != 1 {
		t.Fatalf("%d faults, want one", len(rec.faults))
	}
	if f := rec.faults[0]; !f.loses || f.hits != storeHit || !f.concerns(2) || f.start != -time.Second || f.end < 0 {
		t.Errorf("the fault is %+v", f)
	}
	w.topology = onDisk{}
	w.noteUnasked()
}
