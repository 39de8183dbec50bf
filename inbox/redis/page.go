package redis

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// walked are the lists that a walk goes through, one after the other.
var walked = []string{"lent", "due", "dead", "recent"}

// part is the part of a list that a filter may find something in.
type part struct {
	list        string
	first, last string // as in page.lua
	byAccepted  bool   // the list's times are when events were accepted
}

// partOf returns the part of a list; false where there is nothing that matches. Dead and
// finished events are listed by what a filter asks for. Of those that wait, which are bounded,
// each is looked at.
func partOf(list string, f inbox.Filter) (p part, ok bool) {
	if !holds(list, f.State) {
		return p, false
	}
	p.list = list
	state := map[string]string{"dead": "d", "recent": "f"}[list]
	switch {
	case state == "":
		switch f.State {
		case inbox.Ready:
			p.last = "now"
		case inbox.Delayed, inbox.Leased:
			p.first = "now+1"
		}
		return p, f.Reason == ""
	case f.Reason != "":
		p.list = "x:e:" + f.Reason
	case f.Type != "":
		p.list = "x:" + state + ":" + f.Type
	case !f.Since.IsZero() || !f.Until.IsZero():
		p.list = "x:" + state
	default:
		return p, true
	}
	p.byAccepted = true
	if !f.Since.IsZero() {
		p.first = strconv.FormatInt(ceil(f.Since), 10)
	}
	if !f.Until.IsZero() {
		p.last = strconv.FormatInt(ceil(f.Until)-1, 10)
	}
	return p, f.Reason == "" || list == "dead"
}

// ceil is a time in ms, rounded up.
func ceil(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

// holds reports whether a list may have events in the given state.
func holds(list string, s inbox.State) bool {
	switch s {
	case inbox.Ready:
		return list == "lent" || list == "due"
	case inbox.Delayed:
		return list == "due"
	case inbox.Leased:
		return list == "lent"
	case inbox.Dead:
		return list == "dead"
	case inbox.Done:
		return list == "recent"
	}
	return true
}

// mostLooked is how many events a page looks at, as a multiple of its limit.
const mostLooked = 10

// Page implements [inbox.Queue].
func (q *queue) Page(ctx context.Context, f inbox.Filter, text string, limit int) (p inbox.Page, err error) {
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return p, err
	}
	defer cancel()
	c, err := q.readCursor(text)
	if err != nil {
		return p, err
	}
	if f.ID != "" {
		return q.find(ctx, f, c, limit)
	}
	return q.walk(ctx, f, c, limit)
}

// walk goes through each list, lane by lane.
func (l *lanes) walk(ctx context.Context, f inbox.Filter, c cursor, limit int) (p inbox.Page, err error) {
	for looked := 0; c.place < len(walked)*len(l.due); {
		part, some := partOf(walked[c.place/len(l.due)], f)
		if !some {
			c = cursor{place: c.place + 1}
			continue
		}
		if len(p.Events) >= limit || looked >= mostLooked*limit {
			p.Next = c.String()
			return p, nil
		}
		now, more, found, err := l.listed(ctx, pageScript, c.place%len(l.due), part.list, c.at, c.text(), limit, part.first, part.last)
		if err != nil {
			return p, err
		}
		looked += len(found.rest)
		for found.more() {
			e := found.list().entry(now)
			c.at, c.key = e.at, e.Key
			if part.byAccepted {
				c.at = e.Accepted.UnixMilli()
			}
			if (part.list != "due" || !e.lent) && f.Match(e.Info) {
				p.Events = append(p.Events, e.Info)
			}
			if len(p.Events) == limit {
				more = true
				break
			}
		}
		if !more {
			c = cursor{place: c.place + 1}
		}
	}
	return p, nil
}

// find looks the events of an ID up, lane by lane.
func (l *lanes) find(ctx context.Context, f inbox.Filter, c cursor, limit int) (p inbox.Page, err error) {
	for c.place < len(l.due) {
		if len(p.Events) >= limit {
			p.Next = c.String()
			return p, nil
		}
		now, more, found, err := l.listed(ctx, findScript, c.place, f.ID, c.text(), limit)
		if err != nil {
			return p, err
		}
		for found.more() && len(p.Events) < limit {
			e := found.list().entry(now)
			c.key = e.Key
			if f.Match(e.Info) {
				p.Events = append(p.Events, e.Info)
			}
		}
		if !more && !found.more() {
			c = cursor{place: c.place + 1}
		}
	}
	return p, nil
}

// listed runs a script that lists events on one lane.
func (l *lanes) listed(ctx context.Context, sc *redis.Script, lane int, args ...any) (now time.Time, more bool, events *reader, err error) {
	reply, err := l.s.run(ctx, sc, l.due[lane], args...).Slice()
	if err != nil {
		return now, false, nil, err
	}
	r := &reader{reply}
	now, more = r.time(), r.number() == 1
	return now, more, r, nil
}

// cursor is where a walk goes on: in which list and lane, and behind which event there.
type cursor struct {
	place int // list × lanes + lane
	at    int64
	key   inbox.Key
}

func (c cursor) String() string {
	b := binary.BigEndian.AppendUint64([]byte{byte(c.place)}, uint64(c.at))
	return base64.RawURLEncoding.EncodeToString(append(b, c.key[:]...))
}

// text is the key in the form of the scripts; "" begins a list.
func (c cursor) text() string {
	if c.key == (inbox.Key{}) {
		return ""
	}
	return c.key.String()
}

func (l *lanes) readCursor(text string) (c cursor, err error) {
	if text == "" {
		return c, nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != 1+8+len(c.key) || int(b[0]) >= len(walked)*len(l.due) {
		return c, inbox.ErrCursor
	}
	return cursor{place: int(b[0]), at: int64(binary.BigEndian.Uint64(b[1:])), key: inbox.Key(b[9:])}, nil
}
