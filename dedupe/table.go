package dedupe

import (
	"container/heap"
	"time"
)

// reclaimBatch is how many expired entries one call removes at most. No call adds more
// than two, so expiry keeps up, and none has to pay for a whole night's entries.
const reclaimBatch = 64

// table holds entries by their keys and knows which one expires next. Its users lock.
type table struct {
	entries map[Key]*entry
	expiry  expiryHeap
}

func newTable() table { return table{entries: make(map[Key]*entry)} }

// entry is kept small, for there may be millions.
type entry struct {
	key     Key
	owner   [16]byte      // in flight: the holder's token; finished: the content key or zero
	expires time.Duration // since the store's start
	index   int32         // in the heap
	status  int16         // 0: in flight
}

func (e *entry) heldBy(t Token) bool { return e.status == 0 && e.owner == [16]byte(t) }

// get returns the live entry of k, or nil.
func (t *table) get(k Key, now time.Duration) *entry {
	e := t.entries[k]
	if e != nil && e.expires <= now {
		t.remove(e)
		return nil
	}
	return e
}

// put sets the expiry of k's entry, which it makes where there is none.
func (t *table) put(k Key, expires time.Duration) *entry {
	e := t.entries[k]
	if e == nil {
		e = &entry{key: k, expires: expires}
		t.entries[k] = e
		heap.Push(&t.expiry, e)
		return e
	}
	e.expires = expires
	heap.Fix(&t.expiry, int(e.index))
	return e
}

func (t *table) remove(e *entry) {
	if e != nil {
		delete(t.entries, e.key)
		heap.Remove(&t.expiry, int(e.index))
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
		if e := t.entries[k]; e != nil && e.heldBy(tok) {
			t.remove(e)
		}
	}
}

// reclaim removes up to limit expired entries, oldest first.
func (t *table) reclaim(now time.Duration, limit int) {
	for ; limit > 0 && len(t.expiry) > 0 && t.expiry[0].expires <= now; limit-- {
		t.remove(t.expiry[0])
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

// expiryHeap orders entries by expiry, the next one first.
type expiryHeap []*entry

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].expires < h[j].expires }

func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = int32(i), int32(j)
}

func (h *expiryHeap) Push(x any) {
	e := x.(*entry)
	e.index = int32(len(*h))
	*h = append(*h, e)
}

func (h *expiryHeap) Pop() any {
	old := *h
	last := len(old) - 1
	e := old[last]
	old[last] = nil // or the array would keep it alive
	*h = old[:last]
	return e
}
