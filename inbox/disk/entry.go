package disk

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// kind is what the disk says of an event. Whether a waiting one is ready, delayed or leased
// depends on the time.
type kind uint8

const (
	removed kind = iota
	waiting
	dead
	done
)

// entry is an event as it stands. But for what is said to change, it does not: a change puts
// another one in its place.
type entry struct {
	key                 inbox.Key
	kind                kind
	replay              bool
	typed               uint32 // typeSum of its type, so that lists of one need not read the texts
	accepted, begun, at int64  // unix ms; at is when it is due, or was settled
	token               inbox.Token
	attempts            uint32
	status              uint16
	reason              string
	body                place

	// list is the list that it is in, by its box. It changes with time.
	list inbox.State
	// meta and tail are what the database does not have yet: the texts, nil where it has
	// them, and the last attempts. A checkpoint takes them away.
	meta *meta
	tail []inbox.Attempt
}

// meta are the texts of an event.
type meta struct{ scope, id, kind string }

var typeSeed = maphash.MakeSeed()

// typeSum is a hash of a type. It is never written down.
func typeSum(kind string) uint32 { return uint32(maphash.String(typeSeed, kind)) }

// place is where an envelope is, with the checksum before it. The zero place is nowhere.
type place struct {
	segment, at uint64
	size        uint32 // of the envelope
}

// begins returns e ready for a new round of attempts.
func (e *entry) begins(at int64, replay bool) *entry {
	n := *e
	n.kind, n.at, n.begun, n.replay, n.attempts, n.reason, n.token = waiting, at, at, replay, 0, "", inbox.Token{}
	return &n
}

// ends returns e dead or done.
func (e *entry) ends(as kind, now int64) *entry {
	n := *e
	n.kind, n.at, n.token = as, now, inbox.Token{}
	return &n
}

// stateAt is where the event stands.
func (e *entry) stateAt(now int64) inbox.State {
	switch {
	case e.kind == dead:
		return inbox.Dead
	case e.kind == done:
		return inbox.Done
	case e.at <= now:
		return inbox.Ready
	case e.token != inbox.Token{}:
		return inbox.Leased
	}
	return inbox.Delayed
}

// info is e as callers see it.
func (e *entry) info(m meta, now int64) inbox.Info {
	i := inbox.Info{
		Key: e.key, Scope: m.scope, ID: m.id, Type: m.kind, State: e.stateAt(now),
		Accepted: time.UnixMilli(e.accepted), Begun: time.UnixMilli(e.begun), Attempts: int(e.attempts),
		Replay: e.replay, Status: int(e.status), Reason: e.reason, Size: int(e.body.size),
	}
	if e.kind == waiting {
		i.Due = time.UnixMilli(e.at)
	} else {
		i.Settled = time.UnixMilli(e.at)
	}
	return i
}

const (
	flagReplay = 1 << iota
	flagToken
	flagBody
)

// encode appends e as it stands in the log and in the database: kind, flags, accepted, begun,
// at (8 each), attempts (4), status (2), reason, and where there are some token (16) and
// place (8, 8, 4). All numbers are big-endian; texts follow their length.
func (e *entry) encode(to []byte) []byte {
	var flags byte
	if e.replay {
		flags |= flagReplay
	}
	if e.token != (inbox.Token{}) {
		flags |= flagToken
	}
	if e.body.size > 0 {
		flags |= flagBody
	}
	to = append(to, byte(e.kind), flags)
	for _, at := range []int64{e.accepted, e.begun, e.at} {
		to = binary.BigEndian.AppendUint64(to, uint64(at))
	}
	to = binary.BigEndian.AppendUint32(to, e.attempts)
	to = binary.BigEndian.AppendUint16(to, e.status)
	to = appendText(to, e.reason)
	if flags&flagToken != 0 {
		to = append(to, e.token[:]...)
	}
	if flags&flagBody != 0 {
		to = binary.BigEndian.AppendUint64(to, e.body.segment)
		to = binary.BigEndian.AppendUint64(to, e.body.at)
		to = binary.BigEndian.AppendUint32(to, e.body.size)
	}
	return to
}

func (m *meta) encode(to []byte) []byte {
	return appendText(appendText(appendText(to, m.scope), m.id), m.kind)
}

// encodeAttempt appends an attempt: number (4), at (unix ms, 8), took (ms, 4), status (2),
// error, head.
func encodeAttempt(to []byte, a inbox.Attempt) []byte {
	to = binary.BigEndian.AppendUint32(to, uint32(a.Number))
	to = binary.BigEndian.AppendUint64(to, uint64(a.At.UnixMilli()))
	to = binary.BigEndian.AppendUint32(to, uint32(min(a.Took.Milliseconds(), math.MaxUint32)))
	to = binary.BigEndian.AppendUint16(to, uint16(a.Status))
	return appendText(appendText(to, a.Error), string(a.Head))
}

func appendText(to []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(text))), text...)
}

// decoder reads what the functions above write, until something makes no sense.
type decoder struct {
	rest   []byte
	failed bool
}

// take returns the next n bytes.
func (d *decoder) take(n int) []byte {
	if n > len(d.rest) {
		d.failed, d.rest = true, nil
		return make([]byte, n)
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) byte() byte     { return d.take(1)[0] }
func (d *decoder) uint16() uint16 { return binary.BigEndian.Uint16(d.take(2)) }
func (d *decoder) uint32() uint32 { return binary.BigEndian.Uint32(d.take(4)) }
func (d *decoder) uint64() uint64 { return binary.BigEndian.Uint64(d.take(8)) }
func (d *decoder) text() string   { return string(d.take(int(d.uint16()))) }
func (d *decoder) key() inbox.Key { return inbox.Key(d.take(len(inbox.Key{}))) }

func (d *decoder) entry(k inbox.Key) *entry {
	e := &entry{key: k, kind: kind(d.byte())}
	flags := d.byte()
	e.replay = flags&flagReplay != 0
	e.accepted, e.begun, e.at = int64(d.uint64()), int64(d.uint64()), int64(d.uint64())
	e.attempts, e.status, e.reason = d.uint32(), d.uint16(), d.text()
	if flags&flagToken != 0 {
		e.token = inbox.Token(d.take(len(e.token)))
		d.failed = d.failed || e.token == inbox.Token{}
	}
	if flags&flagBody != 0 {
		e.body = place{d.uint64(), d.uint64(), d.uint32()}
		d.failed = d.failed || e.body.size == 0
	}
	d.failed = d.failed || e.kind < waiting || e.kind > done || flags >= flagBody<<1
	return e
}

func (d *decoder) meta() *meta { return &meta{d.text(), d.text(), d.text()} }

func (d *decoder) attempt() inbox.Attempt {
	a := inbox.Attempt{Number: int(d.uint32())}
	a.At = time.UnixMilli(int64(d.uint64()))
	a.Took = time.Duration(d.uint32()) * time.Millisecond
	a.Status, a.Error = int(d.uint16()), d.text()
	if head := d.text(); head != "" {
		a.Head = []byte(head)
	}
	return a
}

// attempts reads all that is left.
func (d *decoder) attempts() (all []inbox.Attempt) {
	for len(d.rest) > 0 && !d.failed {
		all = append(all, d.attempt())
	}
	return all
}
