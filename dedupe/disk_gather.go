package dedupe

import "time"

const (
	// gatherFrom is how many claims have to be in flight before a commit waits for
	// others, in keys, of which an event mostly has two. With fewer there is time
	// enough between syncs.
	gatherFrom = 2 * 8
	// gatherFor is how long it waits at most. A sync takes as long on a fast disk.
	gatherFor = 500 * time.Microsecond
	// After so many waits in a row that were not worth it, because the apps take their
	// time, nobody waits for a while.
	gatherTries = 3
	gatherPause = 100 * time.Millisecond
)

// gathering is what the writer knows about waiting for more commits.
type gathering struct {
	timer  *time.Timer
	failed int           // waits in a row that were not worth it
	resume time.Duration // since the store's start: not before
}

// gather waits for more commits to share the next sync, where many are to be expected
// at once: until half of what is in flight has come in, and only for a moment.
func (d *Disk) gather() {
	g := &d.gathering
	now := d.elapsed()
	d.mu.Lock()
	keys, had := len(d.claims.entries), len(d.queue)
	want := keys / 4 // half of the events
	if keys < gatherFrom || had == 0 || had >= want || now < g.resume || d.closed || d.failure != nil {
		d.mu.Unlock()
		return
	}
	d.awaited = want
	d.mu.Unlock()

	g.timer.Reset(gatherFor)
	have := had
	for late := false; have < want && !late; {
		select {
		case <-d.wake: // may be from before
		case <-g.timer.C:
			late = true
		}
		d.mu.Lock()
		have = len(d.queue)
		d.mu.Unlock()
	}
	g.timer.Stop()
	d.mu.Lock()
	d.awaited = 1
	d.mu.Unlock()

	if have >= 2*had {
		g.failed = 0
	} else if g.failed++; g.failed == gatherTries {
		g.failed, g.resume = 0, now+gatherPause
	}
}
