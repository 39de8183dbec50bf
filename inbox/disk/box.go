package disk

import (
	"bytes"
	"cmp"
	"math"
	"time"

	"github.com/google/btree"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// box is one inbox. The store's mu guards it, and only the writer's goroutine changes it, but
// for promote.
//
// It has all waiting events in memory, without their texts and envelopes, and of the others
// those that the database does not have as they are now.
type box struct {
	name   string
	used   bool // it has had an event, or a pause
	paused bool
	held   bool
	until  int64 // of the hold; unix ms

	entries map[inbox.Key]*entry // removed ones too, while the database has them
	lists   map[inbox.State]*btree.BTreeG[*entry]

	// dirty are the keys of entries that the database does not have as they are. flushing
	// are those on their way into it, as they were when that began, up to a batch.
	dirty     map[inbox.Key]bool
	flushing  map[inbox.Key]*entry
	flushedTo uint64

	counts  map[kind]int64
	bytes   int64 // of the waiting events' envelopes
	reasons map[string]int64
	minutes minutes
	// oldest is a time before which no dead, or done, event was settled.
	oldest map[kind]int64
}

func newBox(name string) *box {
	b := &box{
		name: name, entries: make(map[inbox.Key]*entry), lists: make(map[inbox.State]*btree.BTreeG[*entry]),
		dirty: make(map[inbox.Key]bool), counts: make(map[kind]int64), reasons: make(map[string]int64),
		oldest: map[kind]int64{dead: math.MaxInt64, done: math.MaxInt64},
	}
	for _, list := range pageOrder {
		b.lists[list] = btree.NewG(16, before)
	}
	return b
}

// before orders the entries of a list by time.
func before(a, b *entry) bool {
	if c := cmp.Compare(a.at, b.at); c != 0 {
		return c < 0
	}
	return bytes.Compare(a.key[:], b.key[:]) < 0
}

// count takes an event into account (by 1), or out of it (by -1).
func (b *box) count(segs *segments, e *entry, by int64) {
	if e == nil || e.kind == removed {
		return
	}
	b.counts[e.kind] += by
	segs.count(e.body, int(by))
	switch e.kind {
	case waiting:
		b.bytes += by * int64(e.body.size)
	case dead:
		if b.reasons[e.reason] += by; b.reasons[e.reason] == 0 {
			delete(b.reasons, e.reason)
		}
		b.oldest[dead] = min(b.oldest[dead], e.at)
	case done:
		b.minutes.count(e.at, by)
		b.oldest[done] = min(b.oldest[done], e.at)
	}
}

// minutes counts the done by the minute in which they became so. Of an older minute it keeps
// nothing.
type minutes [inbox.RateMinutes]struct{ minute, count int64 }

func (m *minutes) count(at, by int64) {
	minute := at / time.Minute.Milliseconds()
	slot := &m[minute%inbox.RateMinutes]
	if slot.minute < minute {
		slot.minute, slot.count = minute, 0
	}
	if slot.minute == minute {
		slot.count += by
	}
}

// last returns the counts of the last minutes, the current one last.
func (m *minutes) last(now int64) []int64 {
	counts := make([]int64, inbox.RateMinutes)
	for i := range counts {
		minute := now/time.Minute.Milliseconds() - inbox.RateMinutes + 1 + int64(i)
		if slot := m[minute%inbox.RateMinutes]; slot.minute == minute {
			counts[i] = slot.count
		}
	}
	return counts
}

// hold puts an entry into memory, in the place of the one that is there. A nil one leaves
// what the database has.
func (b *box) hold(k inbox.Key, e *entry, now int64) {
	if old := b.entries[k]; old != nil && old.kind != removed {
		b.lists[old.list].Delete(old)
	}
	if e == nil {
		delete(b.entries, k)
		return
	}
	b.entries[k] = e
	if e.kind != removed {
		e.list = e.stateAt(now)
		b.lists[e.list].ReplaceOrInsert(e)
	}
}

// promote makes those ready whose time has come.
func (b *box) promote(now int64) {
	for _, list := range []inbox.State{inbox.Delayed, inbox.Leased} {
		for {
			e, ok := b.lists[list].Min()
			if !ok || e.at > now {
				break
			}
			b.lists[list].DeleteMin()
			e.list = inbox.Ready
			b.lists[inbox.Ready].ReplaceOrInsert(e)
		}
	}
}

// nextDue is when the next event may be taken; false where none waits.
func (b *box) nextDue() (at int64, ok bool) {
	at = math.MaxInt64
	for _, list := range []inbox.State{inbox.Ready, inbox.Delayed, inbox.Leased} {
		if e, some := b.lists[list].Min(); some {
			at, ok = min(at, e.at), true
		}
	}
	return at, ok
}

// fits reports whether one more event may wait.
func (b *box) fits(o inbox.Options, size int) bool {
	return (o.MaxEvents == 0 || b.counts[waiting] < o.MaxEvents) && (o.MaxBytes == 0 || b.bytes+int64(size) <= o.MaxBytes)
}

func (b *box) status(now int64) inbox.Status {
	b.promote(now)
	count := func(list inbox.State) int64 { return int64(b.lists[list].Len()) }
	s := inbox.Status{
		Ready: count(inbox.Ready), Delayed: count(inbox.Delayed), Leased: count(inbox.Leased),
		Dead: b.counts[dead], Done: b.counts[done], Bytes: b.bytes, Reasons: make(map[string]int64),
		Finished: b.minutes.last(now), Now: time.UnixMilli(now), Paused: b.paused, Held: b.held,
	}
	for reason, n := range b.reasons {
		s.Reasons[reason] = n
	}
	if e, ok := b.lists[inbox.Ready].Min(); ok {
		s.OldestReady = time.UnixMilli(e.at)
	}
	return s
}

// snapshot moves what is dirty into flushing, with the texts and attempts that the database
// does not have.
func (b *box) snapshot(upTo uint64) {
	b.flushedTo = upTo
	b.flushing = make(map[inbox.Key]*entry, len(b.dirty))
	for k := range b.dirty {
		e := b.entries[k]
		copied := *e
		b.flushing[k] = &copied
		e.meta, e.tail = nil, nil
	}
	b.dirty = make(map[inbox.Key]bool)
}

// flushed forgets what the database has by now.
func (b *box) flushed() {
	for k := range b.flushing {
		if e := b.entries[k]; !b.dirty[k] && e.kind != waiting {
			b.hold(k, nil, 0)
		}
	}
	b.flushing = nil
}
