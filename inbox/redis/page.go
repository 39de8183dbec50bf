package redis

import (
	"context"
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
		p.first = strconv.FormatInt(inbox.CeilMilli(f.Since), 10)
	}
	if !f.Until.IsZero() {
		p.last = strconv.FormatInt(inbox.CeilMilli(f.Until)-1, 10)
	}
	return p, f.Reason == "" || list == "dead"
}

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

// Page implements [inbox.Queue].
func (q *queue) Page(ctx context.Context, f inbox.Filter, text string, limit int) (p inbox.Page, err error) {
	ctx, cancel, err := q.s.step(ctx)
	if err != nil {
		return p, err
	}
	defer cancel()
	var c inbox.Cursor // its list is one of a lane
	if text != "" {
		if c, err = inbox.ReadCursor(text, len(walked)*len(q.due)); err != nil {
			return p, err
		}
	}
	if f.ID != "" {
		return q.find(ctx, f, c, limit)
	}
	return q.walk(ctx, f, c, limit)
}

// walk goes through each list, lane by lane.
func (l *lanes) walk(ctx context.Context, f inbox.Filter, c inbox.Cursor, limit int) (p inbox.Page, err error) {
	for looked := 0; c.List < len(walked)*len(l.due); {
		part, some := partOf(walked[c.List/len(l.due)], f)
		if !some {
			c = inbox.Cursor{List: c.List + 1}
			continue
		}
		if len(p.Events) >= limit || looked >= inbox.MostLooked*limit {
			p.Next = c.String()
			return p, nil
		}
		now, more, found, err := l.listed(ctx, pageScript, c.List%len(l.due), part.list, c.At, behind(c), limit, part.first, part.last)
		if err != nil {
			return p, err
		}
		looked += len(found.rest)
		for found.more() {
			e := found.list().entry(now)
			c.At, c.Key = e.at, e.Key
			if part.byAccepted {
				c.At = e.Accepted.UnixMilli()
			}
			if part.list == "due" && e.lent {
				continue // it is in lent
			}
			p.Looked++
			if f.Match(e.Info) {
				p.Events = append(p.Events, e.Info)
			}
			if len(p.Events) == limit {
				more = true
				break
			}
		}
		if !more {
			c = inbox.Cursor{List: c.List + 1}
		}
	}
	return p, nil
}

// find looks the events of an ID up, lane by lane.
func (l *lanes) find(ctx context.Context, f inbox.Filter, c inbox.Cursor, limit int) (p inbox.Page, err error) {
	for c.List < len(l.due) {
		if len(p.Events) >= limit {
			p.Next = c.String()
			return p, nil
		}
		now, more, found, err := l.listed(ctx, findScript, c.List, f.ID, behind(c), limit)
		if err != nil {
			return p, err
		}
		for found.more() && len(p.Events) < limit {
			e := found.list().entry(now)
			c.Key = e.Key
			p.Looked++
			if f.Match(e.Info) {
				p.Events = append(p.Events, e.Info)
			}
		}
		if !more && !found.more() {
			c = inbox.Cursor{List: c.List + 1}
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

// behind is the event that a part of a list begins behind, in the form of the scripts; "" begins
// the list.
func behind(c inbox.Cursor) string {
	if c.Key == (inbox.Key{}) {
		return ""
	}
	return c.Key.String()
}
