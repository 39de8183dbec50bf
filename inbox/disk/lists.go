package disk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// group is a set of dead or done events that are listed by when they were accepted: the zero
// group has all of them, the others those of one type, or the dead of one reason.
type group [8]byte

func groupOf(what, text string) group {
	sum := sha256.Sum256([]byte(what + "\x00" + text))
	return group(sum[:8])
}

func groupsOf(e *entry, m *meta) []group {
	groups := []group{{}, groupOf("type", m.kind)}
	if e.kind == dead {
		groups = append(groups, groupOf("reason", e.reason))
	}
	return groups
}

func acceptedKey(k kind, g group, e *entry) []byte {
	to := append([]byte{byte(k)}, g[:]...)
	return append(binary.BigEndian.AppendUint64(to, uint64(e.accepted)), e.key[:]...)
}

// idPrefix begins the keys of an ID's events.
func idPrefix(id string) []byte {
	g := groupOf("id", id)
	return g[:]
}

// list writes an event into the lists that it is in.
func list(r records, e *entry, m *meta) error {
	if e.meta != nil && m.id != "" { // it is new to the database
		if err := r.ids.Put(append(idPrefix(m.id), e.key[:]...), nil); err != nil {
			return err
		}
	}
	if e.kind == waiting {
		return nil
	}
	for _, g := range groupsOf(e, m) {
		if err := r.accepted.Put(acceptedKey(e.kind, g, e), nil); err != nil {
			return err
		}
	}
	return r.order.Put(orderKey(e), nil)
}

// listedAlike reports whether an event in the place of another one is in the same lists.
func listedAlike(old, next *entry) bool {
	return next.meta == nil && old.kind == next.kind && (old.kind == waiting || old.at == next.at && old.reason == next.reason)
}

// unlist takes an event out of the lists that it is in, as another one comes in its place.
func unlist(r records, old *entry, m *meta, next *entry) error {
	if m.id != "" && (next.kind == removed || next.meta != nil) {
		if err := r.ids.Delete(append(idPrefix(m.id), old.key[:]...)); err != nil {
			return err
		}
	}
	if old.kind == waiting {
		return nil
	}
	for _, g := range groupsOf(old, m) {
		if err := r.accepted.Delete(acceptedKey(old.kind, g, old)); err != nil {
			return err
		}
	}
	return r.order.Delete(orderKey(old))
}

// settledKind is the kind of the events in a list of dead or done ones; removed for others.
func settledKind(list inbox.State) kind {
	return map[inbox.State]kind{inbox.Dead: dead, inbox.Done: done}[list]
}

// byAccepted reports whether a list is walked by when its events were accepted.
func byAccepted(list inbox.State, f inbox.Filter) bool {
	return settledKind(list) != removed && (f.Reason != "" || f.Type != "" || !f.Since.IsZero() || !f.Until.IsZero())
}

// descendAccepted calls each with the events of a list that may match, from those that were
// accepted last, below a place, until it returns false.
func descendAccepted(tx *bolt.Tx, b *box, list inbox.State, f inbox.Filter, from inbox.Cursor, each func(*entry, *meta) (bool, error)) error {
	if !f.Until.IsZero() && inbox.CeilMilli(f.Until) <= from.At {
		from.At, from.Key = inbox.CeilMilli(f.Until), inbox.Key{}
	}
	held := heldBelow(b, list, f, from)
	stored := acceptedBelow(tx, b, list, f, from)
	e, m, err := stored()
	for err == nil && (e != nil || len(held) > 0) {
		var more bool
		if e == nil || len(held) > 0 && acceptedAfter(held[0], e) {
			more, err = each(held[0], nil)
			held = held[1:]
		} else {
			more, err = each(e, m)
			if err == nil && more {
				e, m, err = stored()
			}
		}
		if !more {
			return err
		}
	}
	return err
}

// acceptedAfter orders events from those that were accepted last.
func acceptedAfter(a, b *entry) bool {
	if a.accepted != b.accepted {
		return a.accepted > b.accepted
	}
	return bytes.Compare(a.key[:], b.key[:]) > 0
}

// heldBelow returns the events in memory that may match, below a place. These are few: all
// that the database does not have yet.
func heldBelow(b *box, list inbox.State, f inbox.Filter, from inbox.Cursor) (found []*entry) {
	place, sum := &entry{accepted: from.At, key: from.Key}, typeSum(f.Type)
	b.lists[list].Ascend(func(e *entry) bool {
		if acceptedAfter(place, e) && (f.Reason == "" || f.Reason == e.reason) && (f.Type == "" || e.typed == sum) &&
			(f.Since.IsZero() || e.accepted >= inbox.CeilMilli(f.Since)) {
			found = append(found, e)
		}
		return true
	})
	slices.SortFunc(found, func(a, b *entry) int {
		if acceptedAfter(a, b) {
			return -1
		}
		return 1
	})
	return found
}

// acceptedBelow returns what returns the events of a list that only the database has, below a
// place, from those that were accepted last; nil at the end.
func acceptedBelow(tx *bolt.Tx, b *box, list inbox.State, f inbox.Filter, from inbox.Cursor) func() (*entry, *meta, error) {
	r, of := recordsOf(tx, b.name), settledKind(list)
	if r.accepted == nil || f.Reason != "" && of != dead {
		return func() (*entry, *meta, error) { return nil, nil, nil }
	}
	g := group{}
	switch {
	case f.Reason != "":
		g = groupOf("reason", f.Reason)
	case f.Type != "":
		g = groupOf("type", f.Type)
	}
	since := int64(math.MinInt64)
	if !f.Since.IsZero() {
		since = inbox.CeilMilli(f.Since)
	}
	at := acceptedKey(of, g, &entry{accepted: from.At, key: from.Key})
	prefix := at[:1+len(g)]
	c := r.accepted.Cursor()
	k := seekBelow(c, at)
	return func() (*entry, *meta, error) {
		for bytes.HasPrefix(k, prefix) && int64(binary.BigEndian.Uint64(k[len(prefix):])) >= since {
			key := inbox.Key(k[len(prefix)+8:])
			k, _ = c.Prev()
			if b.entries[key] != nil {
				continue // it stands otherwise by now
			}
			return r.get(key)
		}
		return nil, nil, nil
	}
}

// seekBelow moves a cursor to the last key below the given one; nil where there is none.
func seekBelow(c *bolt.Cursor, at []byte) []byte {
	k, _ := c.Seek(at)
	if k == nil {
		k, _ = c.Last()
	}
	for k != nil && bytes.Compare(k, at) >= 0 {
		k, _ = c.Prev()
	}
	return k
}

// pageOfID lists the events of an ID, in the order of their keys.
func pageOfID(tx *bolt.Tx, b *box, f inbox.Filter, after inbox.Key, limit int, now int64) (p inbox.Page, err error) {
	for _, k := range withID(tx, b, f.ID) {
		if bytes.Compare(k[:], after[:]) <= 0 {
			continue
		}
		if len(p.Events) == limit {
			p.Next = inbox.Cursor{Key: after}.String()
			return p, nil
		}
		e, err := current(tx, b, k)
		if err != nil {
			return p, err
		}
		if e != nil {
			p.Looked++
			m, err := metaOf(tx, b, e)
			if err != nil {
				return p, err
			}
			if info := e.info(m, now); f.Match(info) {
				p.Events = append(p.Events, info)
			}
		}
		after = k
	}
	return p, nil
}

// withID returns the keys of the events that may have an ID, in order. Those that the
// database does not have yet are looked through.
func withID(tx *bolt.Tx, b *box, id string) (keys []inbox.Key) {
	for k := range b.dirty {
		if e := b.entries[k]; e.meta != nil && e.meta.id == id {
			keys = append(keys, k)
		}
	}
	for k, e := range b.flushing {
		if e.meta != nil && e.meta.id == id {
			keys = append(keys, k)
		}
	}
	if r := recordsOf(tx, b.name); r.ids != nil {
		c, prefix := r.ids.Cursor(), idPrefix(id)
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			keys = append(keys, inbox.Key(k[len(prefix):]))
		}
	}
	slices.SortFunc(keys, func(a, b inbox.Key) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(keys)
}
