package disk

import (
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// turn is one batch while it is made. Steps look at events and change them at once; what has
// been changed is undone where the batch does not reach the disk.
type turn struct {
	s   *Store
	tx  *bolt.Tx
	now int64

	// stored are the records of the inboxes that were looked into.
	stored map[*box]records

	batch   []byte // its head's place, and the bodies
	changes []byte
	undo    []func()
}

// reset begins a batch.
func (t *turn) reset() {
	clear(t.undo) // so that the memory of the last one is free
	t.undo, t.changes = t.undo[:0], t.changes[:0]
}

// rollBack undoes the batch.
func (t *turn) rollBack() {
	for i := len(t.undo) - 1; i >= 0; i-- {
		t.undo[i]()
	}
}

// records returns those of an inbox.
func (t *turn) records(b *box) records {
	r, ok := t.stored[b]
	if !ok {
		r = recordsOf(t.tx, b.name)
		t.stored[b] = r
	}
	return r
}

// load returns an event as it stands; nil where it is not kept.
func (t *turn) load(b *box, k inbox.Key) (*entry, error) {
	if e := b.entries[k]; e != nil {
		if e.kind == removed {
			return nil, nil
		}
		return e, nil
	}
	e, _, err := t.records(b).get(k)
	return e, err
}

// metaOf returns the texts of an event.
func (t *turn) metaOf(b *box, e *entry) (meta, error) {
	return metaFrom(func() records { return t.records(b) }, b, e)
}

func metaOf(tx *bolt.Tx, b *box, e *entry) (meta, error) {
	return metaFrom(func() records { return recordsOf(tx, b.name) }, b, e)
}

// metaFrom asks for the records of the inbox only where the texts are not in memory.
func metaFrom(stored func() records, b *box, e *entry) (meta, error) {
	if e.meta != nil {
		return *e.meta, nil
	}
	if f := b.flushing[e.key]; f != nil && f.meta != nil {
		return *f.meta, nil
	}
	_, m, err := stored().get(e.key)
	if err != nil || m == nil {
		return meta{}, err
	}
	return *m, nil
}

// set puts an event in the place of the one that load has returned, and writes that down. A
// nil one removes it. The attempt may be nil.
func (t *turn) set(b *box, old, e *entry, a *inbox.Attempt) {
	k := e.orKey(old)
	if e == nil {
		t.changes = appendText(append(t.changes, changeRemoved), b.name)
		t.changes = append(t.changes, k[:]...)
		e = &entry{key: k}
	} else {
		t.encode(b, old, e, a)
	}
	t.keep(b, old, e)
}

// orKey is the key of e, or of old where there is no e.
func (e *entry) orKey(old *entry) inbox.Key {
	if e == nil {
		return old.key
	}
	return e.key
}

func (t *turn) encode(b *box, old, e *entry, a *inbox.Attempt) {
	var parts byte
	if old == nil {
		parts |= partMeta
	}
	if a != nil {
		parts |= partAttempt
		tail := append([]inbox.Attempt(nil), e.tail...)
		e.tail = inbox.Remember(tail, *a)
	}
	t.changes = appendText(append(t.changes, changeEvent), b.name)
	t.changes = append(append(t.changes, e.key[:]...), parts)
	t.changes = e.encode(t.changes)
	if parts&partMeta != 0 {
		t.changes = e.meta.encode(t.changes)
	}
	if a != nil {
		t.changes = encodeAttempt(t.changes, *a)
	}
}

// keep changes the memory, so that it can be undone.
func (t *turn) keep(b *box, old, e *entry) {
	k := e.key
	held, wasDirty, oldest := b.entries[k], b.dirty[k], [2]int64{b.oldest[dead], b.oldest[done]}
	b.count(&t.s.segs, old, -1)
	b.count(&t.s.segs, e, 1)
	b.hold(k, e, t.now)
	b.dirty[k] = true
	if !wasDirty {
		t.s.dirty++
	}
	used := b.used
	b.used = true
	t.undo = append(t.undo, func() {
		b.count(&t.s.segs, e, -1)
		b.count(&t.s.segs, old, 1)
		b.hold(k, held, t.now)
		if !wasDirty {
			delete(b.dirty, k)
			t.s.dirty--
		}
		b.used, b.oldest[dead], b.oldest[done] = used, oldest[0], oldest[1]
	})
}

// addBody adds an envelope, and returns where it will be.
func (t *turn) addBody(k inbox.Key, envelope []byte) place {
	last := t.s.segs.last
	p := place{last.number, uint64(last.size) + uint64(len(t.batch)), uint32(len(envelope))}
	t.batch = t.s.segs.id.encodeBody(t.batch, k, envelope)
	return p
}

// pause writes down whether an inbox is paused.
func (t *turn) pause(b *box, paused bool) {
	if b.paused == paused {
		return
	}
	var value byte
	if paused {
		value = 1
	}
	t.changes = append(appendText(append(t.changes, changePause), b.name), value)
	used := b.used
	b.paused, b.used = paused, true
	t.undo = append(t.undo, func() { b.paused, b.used = !paused, used })
}

// holdBox holds an inbox until a time, or ends its hold. It is not written down.
func (t *turn) holdBox(b *box, held bool, until int64) {
	wasHeld, was := b.held, b.until
	b.held, b.until = held, until
	t.undo = append(t.undo, func() { b.held, b.until = wasHeld, was })
}

// removeOld removes some of the events whose time is over.
func (t *turn) removeOld(b *box, o inbox.Options) error {
	for _, over := range []struct {
		kind kind
		keep time.Duration
	}{{dead, o.KeepDead}, {done, o.Keep}} {
		until := t.now - over.keep.Milliseconds()
		if over.keep <= 0 || b.oldest[over.kind] > until {
			continue
		}
		entries, next, err := oldest(t.tx, b, over.kind, until, removeAtOnce)
		if err != nil {
			return err
		}
		for _, e := range entries {
			t.set(b, e, nil, nil)
		}
		was, which := b.oldest[over.kind], over.kind
		b.oldest[which] = next
		t.undo = append(t.undo, func() { b.oldest[which] = was })
	}
	return nil
}
