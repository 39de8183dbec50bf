// Package table holds claims and finished events in the memory of this process.
package table

import (
	"container/heap"
	"encoding/binary"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// ReclaimBatch is how many expired entries one call of a store removes at most. No call
// adds more than two, so expiry keeps up, and no call pays for a whole night's entries.
const ReclaimBatch = 64

// Table holds entries by their keys and knows which one expires next. Its users lock.
// Times are counted from the store's start.
//
// There may be millions of entries, and the garbage collector would visit each of them
// again and again if there were a pointer in it or to it. So entries are numbered slots
// of large pages. Pages are reused and never given back.
type Table struct {
	slots  map[dedupe.Key]int32
	pages  []*[pageSize]Entry
	vacant []int32 // slots that were used
	expiry []int32 // a heap of slots, the next to expire first

	idTexts texts

	// What the app said, of the few events where that is remembered.
	replies map[dedupe.Key]dedupe.Reply
	weight  int // of the replies
}

const pageSize = 1024

// New returns an empty table.
func New() Table {
	return Table{slots: make(map[dedupe.Key]int32), replies: make(map[dedupe.Key]dedupe.Reply)}
}

// Entry is what the table knows of one key. It is kept small, and free of pointers.
type Entry struct {
	key     dedupe.Key
	owner   [16]byte      // in flight: the holder's token; finished: see named
	expires time.Duration // since the store's start
	place   int32         // in the heap
	status  int16         // 0: in flight
	named   bool          // owner says where the ID's text is; else it is the content key or zero
}

// setText makes owner say where the ID's text is.
func (e *Entry) setText(first int32, size int) {
	binary.BigEndian.PutUint32(e.owner[:], uint32(first))
	e.owner[4] = byte(size) // MaxIDText at most
	e.named = true
}

// text returns where the ID's text is.
func (e *Entry) text() (first int32, size int) {
	return int32(binary.BigEndian.Uint32(e.owner[:])), int(e.owner[4])
}

// HeldBy reports whether e is a claim of the attempt t.
func (e *Entry) HeldBy(t dedupe.Token) bool { return e.status == 0 && e.owner == [16]byte(t) }

// InFlight reports whether e is a claim. A nil entry is none.
func (e *Entry) InFlight() bool { return e != nil && e.status == 0 }

// Record returns what e says at a time, but for its reply and its ID's text. A nil entry
// is Absent; others must be live.
func (e *Entry) Record(now time.Duration) dedupe.Record {
	switch {
	case e == nil:
		return dedupe.Record{State: dedupe.Absent}
	case e.status == 0:
		return dedupe.Record{State: dedupe.InFlight, TTL: e.expires - now}
	}
	rec := dedupe.Record{State: dedupe.Done, Status: int(e.status), TTL: e.expires - now}
	if !e.named {
		rec.Content = e.owner
	}
	return rec
}

// Len returns the number of entries, those that have expired included.
func (t *Table) Len() int { return len(t.slots) }

// Record returns all that e says at a time. A nil entry is Absent; others must be live.
func (t *Table) Record(e *Entry, now time.Duration) dedupe.Record {
	rec := e.Record(now)
	if rec.State == dedupe.Done {
		rec.Reply = t.replies[e.key]
		if e.named {
			rec.IDText = t.idTexts.read(e.text())
		}
	}
	return rec
}

// Weight is Len, with replies and the texts of IDs counted by how many entries would take
// their room.
func (t *Table) Weight() int {
	return len(t.slots) + t.weight + t.idTexts.used*cellSize/entrySize
}

// entrySize is about what an entry takes, with its part of the maps.
const entrySize = 100

// weigh returns the weight of a reply.
func weigh(r dedupe.Reply) int { return (len(r.ContentType) + len(r.Body) + entrySize - 1) / entrySize }

// Get returns the live entry of k, or nil.
func (t *Table) Get(k dedupe.Key, now time.Duration) *Entry {
	e := t.find(k)
	if e != nil && e.expires <= now {
		t.Remove(e)
		return nil
	}
	return e
}

// Claim gives every key of ev to the attempt tok. No other may hold one.
func (t *Table) Claim(ev dedupe.Event, tok dedupe.Token, expires time.Duration) {
	for k := range ev.Keys() {
		t.put(k, expires).owner = tok
	}
}

// Renew gives what the attempt tok holds of ev a new lease, if it holds all of it.
func (t *Table) Renew(ev dedupe.Event, tok dedupe.Token, now, lease time.Duration) bool {
	for k := range ev.Keys() {
		if e := t.Get(k, now); e == nil || !e.HeldBy(tok) {
			return false
		}
	}
	for k := range ev.Keys() {
		t.put(k, now+lease)
	}
	return true
}

// Finish marks every key of ev as finished. Keys that are finished already keep their
// status, reply, content and ID's text, and their time to live is only ever lengthened.
func (t *Table) Finish(ev dedupe.Event, success dedupe.Success, now, ttl time.Duration) {
	for k := range ev.Keys() {
		e := t.Get(k, now)
		if e != nil && e.status != 0 {
			t.put(k, max(e.expires, now+ttl))
			continue
		}
		e = t.put(k, now+ttl)
		e.status, e.owner = int16(success.Status), dedupe.Key{}
		switch {
		case k == ev.ID:
			e.owner = ev.Content
		case success.IDText != "":
			e.setText(t.idTexts.add(success.IDText), len(success.IDText))
		}
		if success.Reply != (dedupe.Reply{}) {
			t.replies[k] = success.Reply
			t.weight += weigh(success.Reply)
		}
	}
}

// Free gives back whatever the attempt tok holds of ev.
func (t *Table) Free(ev dedupe.Event, tok dedupe.Token) {
	for k := range ev.Keys() {
		if e := t.find(k); e != nil && e.HeldBy(tok) {
			t.Remove(e)
		}
	}
}

// Drop removes the entries of ev, whoever holds them.
func (t *Table) Drop(ev dedupe.Event) {
	for k := range ev.Keys() {
		t.Remove(t.find(k))
	}
}

// Remove removes an entry. A nil entry is none.
func (t *Table) Remove(e *Entry) {
	if e != nil {
		if r, ok := t.replies[e.key]; ok {
			t.weight -= weigh(r)
			delete(t.replies, e.key)
		}
		if e.named {
			t.idTexts.drop(e.text())
		}
		t.vacant = append(t.vacant, t.slots[e.key])
		delete(t.slots, e.key)
		heap.Remove((*byExpiry)(t), int(e.place))
	}
}

// Reclaim removes up to limit expired entries, oldest first.
func (t *Table) Reclaim(now time.Duration, limit int) {
	for ; limit > 0 && len(t.expiry) > 0; limit-- {
		next := t.at(t.expiry[0])
		if next.expires > now {
			return
		}
		t.Remove(next)
	}
}

func (t *Table) at(slot int32) *Entry { return &t.pages[slot/pageSize][slot%pageSize] }

// find returns the entry of k, even one that has expired, or nil.
func (t *Table) find(k dedupe.Key) *Entry {
	slot, ok := t.slots[k]
	if !ok {
		return nil
	}
	return t.at(slot)
}

// put sets the expiry of k's entry, and adds the entry where there is none.
func (t *Table) put(k dedupe.Key, expires time.Duration) *Entry {
	e := t.find(k)
	if e == nil {
		slot := t.freeSlot()
		t.slots[k] = slot
		e = t.at(slot)
		*e = Entry{key: k, place: int32(len(t.expiry))}
		t.expiry = append(t.expiry, slot)
	}
	e.expires = expires
	heap.Fix((*byExpiry)(t), int(e.place))
	return e
}

// freeSlot returns a slot that is not in use.
func (t *Table) freeSlot() int32 {
	if last := len(t.vacant) - 1; last >= 0 {
		slot := t.vacant[last]
		t.vacant = t.vacant[:last]
		return slot
	}
	used := len(t.expiry)
	if used == len(t.pages)*pageSize {
		t.pages = append(t.pages, new([pageSize]Entry))
	}
	return int32(used)
}

// byExpiry is the table as a heap.Interface. Slots come and go at the end of the heap;
// what Push and Pop would hand over is there already.
type byExpiry Table

func (h *byExpiry) entry(place int) *Entry { return (*Table)(h).at(h.expiry[place]) }

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
