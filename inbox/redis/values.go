package redis

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// reader reads a script's reply, one value after the other. A value of another kind, which
// our scripts never return, is read as a zero.
type reader struct{ rest []any }

func (r *reader) more() bool { return len(r.rest) > 0 }

func (r *reader) next() (v any) {
	if len(r.rest) > 0 {
		v, r.rest = r.rest[0], r.rest[1:]
	}
	return v
}

func (r *reader) text() string {
	text, _ := r.next().(string)
	return text
}

func (r *reader) number() int64 {
	switch v := r.next().(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}

// time reads a time in ms; 0 is the zero time.
func (r *reader) time() time.Time {
	if ms := r.number(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// wait reads a time to wait in ms; -1 is an open end.
func (r *reader) wait() time.Duration { return time.Duration(r.number()) * time.Millisecond }

func (r *reader) list() *reader {
	list, _ := r.next().([]any)
	return &reader{list}
}

// entry is what a script says of one event.
type entry struct {
	inbox.Info
	at   int64 // its place in its list
	lent bool  // a token holds it
}

// entry reads what `info` in lane.lua returns.
func (r *reader) entry(now time.Time) (e entry) {
	e.Key, _ = inbox.ParseKey(r.text())
	e.at = r.number()
	fields := r.list()
	state := fields.text()
	e.Size = int(fields.number())
	e.Accepted, e.Begun = fields.time(), fields.time()
	e.Attempts = int(fields.number())
	e.lent = fields.text() != ""
	e.Replay = fields.number() == 1
	e.Status = int(fields.number())
	e.Reason, e.Scope, e.ID, e.Type = fields.text(), fields.text(), fields.text(), fields.text()
	at := time.UnixMilli(e.at)
	switch {
	case state == "d":
		e.State, e.Settled = inbox.Dead, at
	case state == "f":
		e.State, e.Settled = inbox.Done, at
	case !at.After(now):
		e.State, e.Due = inbox.Ready, at
	case e.lent:
		e.State, e.Due = inbox.Leased, at
	default:
		e.State, e.Due = inbox.Delayed, at
	}
	return e
}

// An encoded attempt is its number, time (ms), duration (ms), status and the length of its
// error as varints, the error, and the head of the answer.
func encodeAttempt(a inbox.Attempt) []byte {
	b := make([]byte, 0, 32+len(a.Error)+len(a.Head))
	for _, n := range []int64{int64(a.Number), a.At.UnixMilli(), a.Took.Milliseconds(), int64(a.Status), int64(len(a.Error))} {
		b = binary.AppendVarint(b, n)
	}
	return append(append(b, a.Error...), a.Head...)
}

// decodeAttempts reads the attempts that settle.lua has joined.
func decodeAttempts(log string) (all []inbox.Attempt) {
	for rest := []byte(log); len(rest) >= 2; {
		size := int(binary.BigEndian.Uint16(rest))
		if rest = rest[2:]; size > len(rest) {
			break
		}
		one := rest[:size]
		rest = rest[size:]
		var n [5]int64
		for i := range n {
			v, read := binary.Varint(one)
			if read <= 0 {
				return all
			}
			n[i], one = v, one[read:]
		}
		if n[4] < 0 || n[4] > int64(len(one)) {
			return all
		}
		a := inbox.Attempt{Number: int(n[0]), At: time.UnixMilli(n[1]), Took: time.Duration(n[2]) * time.Millisecond, Status: int(n[3])}
		a.Error = string(one[:n[4]])
		if head := one[n[4]:]; len(head) > 0 {
			a.Head = head
		}
		all = append(all, a)
	}
	return all
}
