package queuetest

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Model is an inbox.Store in memory, as simple as one can be. It shows that the suite can be
// passed, what the real stores must do in a random walk, and serves other packages' tests. It
// looks at every event in every call.
type Model struct {
	mu     sync.Mutex
	now    func() time.Time
	lists  map[string]*list
	closed bool
}

// list has the events of one inbox.
type list struct {
	events map[inbox.Key]*event
	paused bool
	held   bool
	until  time.Time // of the hold
}

// event is one event. Its State is Ready for all that wait; stateAt knows better.
type event struct {
	inbox.Record
	token   inbox.Token
	damaged bool
}

// NewModel returns an empty store that goes by the given clock.
func NewModel(now func() time.Time) *Model {
	return &Model{now: now, lists: make(map[string]*list)}
}

// Queue implements inbox.Store.
func (m *Model) Queue(name string, o inbox.Options) (inbox.Queue, error) {
	if err := inbox.CheckName(name); err != nil {
		return nil, err
	}
	return &queue{m, name, o}, nil
}

// Names implements inbox.Store.
func (m *Model) Names(ctx context.Context) (names []string, err error) {
	err = m.step(ctx, func(time.Time) error {
		names = slices.Sorted(maps.Keys(m.lists))
		return nil
	})
	return names, err
}

// Close implements inbox.Store.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// Damage makes the envelope of an event unreadable.
func (m *Model) Damage(name string, k inbox.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lists[name].events[k].damaged = true
}

// step is one atomic step.
func (m *Model) step(ctx context.Context, do func(now time.Time) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return inbox.ErrClosed
	}
	return do(m.now().Truncate(time.Millisecond))
}

// stateAt is where the event stands.
func (e *event) stateAt(now time.Time) inbox.State {
	switch {
	case !e.State.Waits():
		return e.State
	case !e.Due.After(now):
		return inbox.Ready
	case e.token != inbox.Token{}:
		return inbox.Leased
	}
	return inbox.Delayed
}

func (e *event) infoAt(now time.Time) inbox.Info {
	info := e.Info
	info.State = e.stateAt(now)
	return info
}

// begin makes the event ready for a new round of attempts.
func (e *event) begin(due time.Time, replay bool) {
	e.State, e.Due, e.Begun, e.Settled = inbox.Ready, due, due, time.Time{}
	e.Info.Attempts, e.Replay, e.Reason, e.token = 0, replay, "", inbox.Token{}
}

// end makes the event dead or done.
func (e *event) end(state inbox.State, now time.Time) {
	e.State, e.Settled, e.Due, e.token = state, now, time.Time{}, inbox.Token{}
}

// sorted returns the events in the order in which they are taken.
func (l *list) sorted() []*event {
	return slices.SortedFunc(maps.Values(l.events), func(a, b *event) int {
		if c := a.Due.Compare(b.Due); c != 0 {
			return c
		}
		return slices.Compare(a.Key[:], b.Key[:])
	})
}

func (l *list) status(now time.Time) inbox.Status {
	s := inbox.Status{Now: now, Paused: l.paused, Held: l.held, Reasons: make(map[string]int64), Finished: make([]int64, inbox.RateMinutes)}
	for _, e := range l.events {
		state := e.stateAt(now)
		switch state {
		case inbox.Ready:
			s.Ready++
			if s.OldestReady.IsZero() || e.Due.Before(s.OldestReady) {
				s.OldestReady = e.Due
			}
		case inbox.Delayed:
			s.Delayed++
		case inbox.Leased:
			s.Leased++
		case inbox.Dead:
			s.Dead++
			s.Reasons[e.Reason]++
		case inbox.Done:
			s.Done++
			if ago := now.Unix()/60 - e.Settled.Unix()/60; ago < inbox.RateMinutes {
				s.Finished[inbox.RateMinutes-1-ago]++
			}
		}
		if state.Waits() {
			s.Bytes += int64(e.Size)
		}
	}
	return s
}

// place is where an event stands in the walk of Page: a lower one comes first.
func (e *event) place(f inbox.Filter) []byte {
	rank, at := byte(1), e.Due
	switch {
	case e.State == inbox.Dead:
		rank, at = 2, e.Settled
	case e.State == inbox.Done:
		rank, at = 3, e.Settled
	case e.token != inbox.Token{}:
		rank = 0
	}
	if rank > 1 && f != (inbox.Filter{State: f.State, Scope: f.Scope}) {
		at = e.Accepted
	}
	return append(binary.BigEndian.AppendUint64([]byte{rank}, ^uint64(at.UnixMilli())), e.Key[:]...)
}

// page returns the events behind a place.
func (l *list) page(f inbox.Filter, cursor string, limit int, now time.Time) (p inbox.Page, err error) {
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(after) != 0 && len(after) != 1+8+len(inbox.Key{}) {
		return p, inbox.ErrCursor
	}
	events := slices.SortedFunc(maps.Values(l.events), func(a, b *event) int { return slices.Compare(a.place(f), b.place(f)) })
	passed := 0
	for _, e := range events {
		if slices.Compare(e.place(f), after) <= 0 {
			continue
		}
		info := e.infoAt(now)
		if !(inbox.Filter{State: f.State, ID: f.ID}).Match(info) {
			continue // which a store has in another list
		}
		passed++
		if !f.Match(info) {
			continue
		}
		if len(p.Events) == limit {
			p.Next = base64.RawURLEncoding.EncodeToString(after)
			return p, nil
		}
		after = e.place(f)
		p.Events = append(p.Events, info)
		p.Looked, passed = p.Looked+passed, 0
	}
	p.Looked += passed
	return p, nil
}
