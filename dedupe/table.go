package dedupe

import (
	"container/heap"
	"time"
)

// reclaimBatch is how many expired entries one call removes at most. No call adds more
// than two, so expiry keeps up, and none has to pay for a whole night's entries.
const reclaimBatch = 64

// table holds entries by their keys and knows which one expires next. Its users lock.
//
// There may be millions, and the garbage collector would visit each of them again and
// again if there were a pointer in it or to it. So entries are numbered slots of large
// pages. Pages are used again and never given back.
type table struct {
	slots  map[Key]int32
	pages  []*[pageSize]entry
	vacant []int32 // slots that were used
	expiry []int32 // a heap of slots, the next to expire first
}

const pageSize = 1024

func newTable() table { return table{slots: make(map[Key]int32)} }

// entry is kept small, and free of pointers.
type entry struct {
	key     Key
	owner   [16]byte      // in flight: the holder's token; finished: the content key or zero
	expires time.Duration // since the store's start
	place   int32         // in the heap
	status  int16         // 0: in flight
}

func (e *entry) heldBy(t Token) bool { return e.status == 0 && e.owner == [16]byte(t) }

func (t *table) len() int { return len(t.slots) }

func (t *table) at(slot int32) *entry { return &t.pages[slot/pageSize][slot%pageSize] }

// find returns the entry of k, even one that has expired, or nil.
func (t *table) find(k Key) *entry {
	slot, ok := t.slots[k]
	if !ok {
		return nil
	}
	return t.at(slot)
}

// get returns the live entry of k, or nil.
func (t *table) get(k Key, now time.Duration) *entry {
	e := t.find(k)
	if e != nil && e.expires <= now {
		t.remove(e)
		return nil
	}
	return e
}

// put sets the expiry of k's entry, which it makes where there is none.
func (t *table) put(k Key, expires time.Duration) *entry {
	e := t.find(k)
	if e == nil {
		slot := t.vacate()
		t.slots[k] = slot
		e = t.at(slot)
		*e = entry{key: k, place: int32(len(t.expiry))}
		t.expiry = append(t.expiry, slot)
	}
	e.expires = expires
	heap.Fix((*byExpiry)(t), int(e.place))
	return e
}

// vacate finds a slot that is free.
func (t *table) vacate() int32 {
	if last := len(t.vacant) - 1; last >= 0 {
		slot := t.vacant[last]
		t.vacant = t.vacant[:last]
		return slot
	}
	used := len(t.expiry)
	if used == len(t.pages)*pageSize {
		t.pages = append(t.pages, new([pageSize]entry))
	}
	return int32(used)
}

func (t *table) remove(e *entry) {
	if e != nil {
		t.vacant = append(t.vacant, t.slots[e.key])
		delete(t.slots, e.key)
		heap.Remove((*byExpiry)(t), int(e.place))
	}
}

// renew gives what the attempt tok holds of ev a new lease, if it holds all of it.
func (t *table) renew(ev Event, tok Token, now, lease time.Duration) bool {
	for k := range ev.keys() {
		if e := t.get(k, now); e == nil || !e.heldBy(tok) {
			return false
		}
	}
	for k := range ev.keys() {
		t.put(k, now+lease)
	}
	return true
}

// free gives back whatever the attempt tok holds of ev.
func (t *table) free(ev Event, tok Token) {
	for k := range ev.keys() {
		if e := t.find(k); e != nil && e.heldBy(tok) {
			t.remove(e)
		}
	}
}

// reclaim removes up to limit expired entries, oldest first.
func (t *table) reclaim(now time.Duration, limit int) {
	for ; limit > 0 && len(t.expiry) > 0; limit-- {
		next := t.at(t.expiry[0])
		if next.expires > now {
			return
		}
		t.remove(next)
	}
}

// record is what a nil or live entry tells.
func (e *entry) record(now time.Duration) Record {
	switch {
	case e == nil:
		return Record{State: Absent}
	case e.status == 0:
		return Record{State: InFlight, TTL: e.expires - now}
	}
	return Record{State: Done, Status: int(e.status), Content: e.owner, TTL: e.expires - now}
}

// byExpiry is the table as a heap.Interface. Slots come and go at the end of the heap;
// what Push and Pop would hand over is there already.
type byExpiry table

func (h *byExpiry) entry(place int) *entry { return (*table)(h).at(h.expiry[place]) }

func (h *byExpiry) Len() int           { return len(h.expiry) }
func (h *byExpiry) Less(i, j int) bool { return h.entry(i).expires < h.entry(j).expires }

func (h *byExpiry) Swap(i, j int) {
	h.expiry[i], h.expiry[j] = h.expiry[j], h.expiry[i]
	h.entry(i).place, h.entry(j).place = int32(i), int32(j)
}

func (h *byExpiry) Push(any) {}

func (h *byExpiry) Pop() any {
	h.expiry = h.expiry[:len(h.expiry)-1]
	return nil
}
