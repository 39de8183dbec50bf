package disk

import (
	"cmp"
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

const (
	// compactBelow is the part of a segment, in percent, below which what is kept of it is
	// copied, so that the segment can go.
	compactBelow = 25
	// copyAtOnce bounds the bytes that one step copies, and lookAtOnce the envelopes of which it
	// finds out whether they are kept, so that nobody waits for long. A segment may have had
	// tens of thousands, and each look may be a read of the disk.
	copyAtOnce = 1 << 20
	lookAtOnce = 256
)

// compaction copies the envelopes that are kept of a segment to the end of the log. The
// writer's goroutine drives it; only the search for them is in another.
type compaction struct {
	from  *segment     // nil: none is under way
	found chan []moved // receives what was in the segment once; nil otherwise
	moves []moved      // what is left of that
	again bool         // there may be another segment to do

	copied, steps int // envelopes that were copied so far, and steps that this took; for tests
}

// moved is an envelope that was written to a segment once.
type moved struct {
	name string
	key  inbox.Key
	from place
}

func (c *compaction) take(moves []moved) { c.found, c.moves = nil, moves }

// run does a part of what is to be done.
func (c *compaction) run(w *writer) {
	switch {
	case c.found != nil: // being searched
	case len(c.moves) > 0:
		c.copySome(w)
	case c.from != nil:
		if w.s.keeps(c.from) {
			c.from.stuck = true
		}
		c.from, c.again = nil, true
		w.checkpoint.written++ // the next checkpoint drops it
		w.signal()
	case c.again:
		c.again = false
		c.start(w)
	}
}

// keeps reports whether envelopes of a segment are still kept there.
func (s *Store) keeps(seg *segment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return seg.count > 0
}

// start searches the segment of which the smallest part is kept, if that is small.
func (c *compaction) start(w *writer) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	part := func(seg *segment) int64 { return 100 * seg.live / max(1, seg.size) }
	var worth []*segment
	for _, seg := range w.s.segs.all {
		if seg.number < w.checkpoint.done.segment && seg.count > 0 && !seg.stuck && part(seg) < compactBelow {
			worth = append(worth, seg)
		}
	}
	if len(worth) == 0 {
		return
	}
	from := slices.MinFunc(worth, func(a, b *segment) int { return cmp.Compare(part(a), part(b)) })
	found := make(chan []moved, 1)
	c.from, c.found = from, found
	go func() { found <- w.s.written(from) }()
}

// written returns the envelopes that were written to a segment. It reads only what never
// changes.
func (s *Store) written(seg *segment) (all []moved) {
	r := recovery{s: s}
	for at := int64(segmentHead); ; {
		b, data := r.batchAt(seg, at)
		if data == nil {
			return all
		}
		changes, _ := parseChanges(data[batchHead+b.bodies:])
		for _, c := range changes {
			if c.entry != nil && c.entry.body.segment == seg.number && int64(c.entry.body.at) >= at {
				all = append(all, moved{c.name, c.key, c.entry.body})
			}
		}
		at += int64(b.size())
	}
}

// copySome copies some envelopes, in a batch of its own. What cannot be read stays where it is.
func (c *compaction) copySome(w *writer) {
	copied, envelopes, looked := 0, 0, 0
	st := &step{done: make(chan struct{}, 1)}
	st.do = func(t *turn) error {
		for ; len(c.moves) > 0 && copied < copyAtOnce && looked < lookAtOnce; looked++ {
			m := c.moves[0]
			c.moves = c.moves[1:]
			b := t.s.boxes[m.name]
			if b == nil {
				continue
			}
			e, err := t.load(b, m.key)
			if err != nil {
				return err
			}
			if e == nil || e.body != m.from {
				continue
			}
			envelope := t.s.segs.read(c.from, m.from, m.key)
			if envelope == nil {
				continue
			}
			n := *e
			n.body = t.addBody(m.key, envelope)
			t.set(b, e, &n, nil)
			copied += len(envelope)
			envelopes++
		}
		return nil
	}
	w.save([]*step{st})
	if st.err != nil {
		c.from, c.moves = nil, nil // until the disk takes writes again
		return
	}
	c.copied += envelopes
	c.steps++
	w.signal() // go on after whoever waits
}
