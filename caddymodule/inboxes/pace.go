package inboxes

import (
	"sync"
	"time"
)

const (
	// awayAfter is how many attempts in a row have to find the app away before the inbox
	// holds.
	awayAfter = 5
	// firstHold is how long it holds at first, and lastHold at most.
	firstHold = time.Second
	lastHold  = time.Minute
	// mostUnsettled is how many attempts that have ended may be unsettled before nothing more
	// is taken: a store that gives out events, and does not take what has become of them.
	mostUnsettled = 64
)

// pace decides how many events the app gets at once. While the app is away, the inbox is
// held: one event at a time finds out whether it is back. Afterwards each success lets one
// more through at once.
type pace struct {
	mu       sync.Mutex
	most     int
	limit    int // at once, now
	running  int
	open     int           // not settled: those that run, too
	failures int           // in a row
	held     time.Duration // the last hold; 0 where the inbox is not held
}

func newPace(most int) *pace { return &pace{most: most, limit: most} }

// room is how many more events the app may get now.
func (p *pace) room() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held > 0 {
		return 1 // the probe, whoever still works: the store gives out one at a time
	}
	return max(0, min(p.limit-p.running, mostUnsettled+p.most-p.open))
}

func (p *pace) begin(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running += n
	p.open += n
}

// end is called when the app has answered.
func (p *pace) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
}

// settled is called when nothing more is to be done about an attempt.
func (p *pace) settled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open--
}

// verdict is what an attempt means for the inbox.
type verdict struct {
	hold    time.Duration // hold the inbox for so long
	release bool          // end the hold
	again   bool          // probe again at once
}

// learn is called after each attempt.
func (p *pace) learn(away, probe bool) verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !away {
		release := probe || p.held > 0
		if release {
			p.limit, p.held = 0, 0
		}
		p.failures = 0
		p.limit = min(p.most, p.limit+1)
		return verdict{release: release}
	}
	p.failures++
	switch {
	case probe:
		p.held = min(max(firstHold, 2*p.held), lastHold)
	case p.held == 0 && p.failures >= awayAfter:
		p.held = firstHold
	default:
		return verdict{}
	}
	return verdict{hold: p.held}
}
