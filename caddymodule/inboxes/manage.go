package inboxes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Manager lists and changes the inboxes of a store, whether or not a guard names them.
type Manager struct {
	Set    *Set
	Store  inbox.Store
	Logger *zap.Logger

	// Progress, where it is not nil, is told now and then how far a change of many events has
	// come: first how many match, then how many are changed.
	Progress func(adminapi.InboxChanged)
}

var (
	// ErrAsked marks errors that are the caller's.
	ErrAsked = errors.New("the inbox was asked for something that cannot be")

	// ErrNone is returned where the store cannot have inboxes.
	ErrNone = errors.New("the store of the running configuration has no inboxes: use store disk or store redis")

	// ErrWaits is returned where an event is to be let through that an inbox is about to deliver.
	ErrWaits = errors.New("the event waits in its inbox, which delivers it: to be rid of it, delete it there")

	errNoReason = fmt.Errorf("%w: say why, for the log: give a reason", ErrAsked)
)

// queue returns an inbox that the store has or a guard names.
func (m Manager) queue(ctx context.Context, name string) (inbox.Queue, *Inbox, error) {
	if m.Set.Find(name) == nil {
		names, err := m.names(ctx)
		if err != nil {
			return nil, nil, err
		}
		if !slices.Contains(names, name) {
			return nil, nil, fmt.Errorf("%w: there is no inbox %q%s", ErrAsked, name, instead(name, names))
		}
	}
	return m.open(name)
}

// open is queue for an inbox that is known to be there.
func (m Manager) open(name string) (inbox.Queue, *Inbox, error) {
	if in := m.Set.Find(name); in != nil {
		queue, err := in.opened(m.Store)
		return queue, in, err
	}
	queue, err := m.Store.Queue(name, inbox.Options{})
	return queue, nil, err
}

// names returns those of the inboxes that the store has or a guard names.
func (m Manager) names(ctx context.Context) ([]string, error) {
	names, err := m.Store.Names(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range m.Set.Names() {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Kept is an event in its inbox.
type Kept struct {
	inbox.Info
	Inbox string

	queue inbox.Queue
}

// Find returns what the inboxes have under the first of the keys that one of them knows; nil
// where none does.
func (m Manager) Find(ctx context.Context, keys ...inbox.Key) (*Kept, error) {
	names, err := m.names(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		queue, _, err := m.open(name)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			record, err := queue.Get(ctx, key)
			if err == nil {
				return &Kept{record.Info, name, queue}, nil
			}
			if !errors.Is(err, inbox.ErrUnknown) {
				return nil, err
			}
		}
	}
	return nil, nil
}

// Forget removes a finished event from the list of its inbox, which would take the next copy
// for one of it.
func (k *Kept) Forget(ctx context.Context) error {
	_, err := k.queue.Delete(ctx, []inbox.Key{k.Key})
	return err
}

// Event is the event as lists have it.
func (k *Kept) Event() *adminapi.InboxEvent {
	event := eventOf(k.Info)
	return &event
}

// instead says which inboxes there are in place of one that is not among them.
func instead(name string, names []string) string {
	slices.Sort(names)
	switch similar := config.Similar(name, names); {
	case len(similar) > 0:
		return ": did you mean " + strings.Join(similar, ", ") + "?"
	case len(names) > 0:
		return ": there are " + strings.Join(names, ", ")
	}
	return ": there are none"
}

// States returns how all inboxes stand.
func (m Manager) States(ctx context.Context) (states []adminapi.InboxState, err error) {
	names, err := m.names(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		queue, in, err := m.open(name)
		if err != nil {
			return nil, err
		}
		s, err := queue.Status(ctx)
		if err != nil {
			return nil, err
		}
		states = append(states, adminapi.InboxState{
			Name: name, Unrouted: in == nil, Ready: s.Ready, Delayed: s.Delayed, Leased: s.Leased, Dead: s.Dead, Done: s.Done,
			Bytes: s.Bytes, Reasons: s.Reasons, Rate: s.Finished, OldestReady: when(s.OldestReady), Paused: s.Paused, Held: s.Held,
		})
	}
	return states, nil
}

// Page lists events.
func (m Manager) Page(ctx context.Context, name string, f adminapi.InboxFilter, cursor string, limit int) (page adminapi.InboxPage, err error) {
	filter, err := filterOf(f)
	if err != nil {
		return page, err
	}
	queue, _, err := m.queue(ctx, name)
	if err != nil {
		return page, err
	}
	found, err := queue.Page(ctx, filter, cursor, limit)
	if errors.Is(err, inbox.ErrCursor) {
		return page, fmt.Errorf("%w: %w", ErrAsked, err)
	}
	page.Next, page.Looked, page.Events = found.Next, found.Looked, make([]adminapi.InboxEvent, 0, len(found.Events))
	for _, info := range found.Events {
		page.Events = append(page.Events, eventOf(info))
	}
	return page, err
}

// Record returns all of one event, and with its request where asked.
func (m Manager) Record(ctx context.Context, name, event string, request bool) (r adminapi.InboxRecord, err error) {
	queue, in, err := m.queue(ctx, name)
	if err != nil {
		return r, err
	}
	keys, err := keysOf(ctx, queue, []string{event})
	if err != nil {
		return r, err
	}
	record, err := queue.Get(ctx, keys[0])
	if err != nil {
		return r, err
	}
	r.InboxEvent = eventOf(record.Info)
	sealed := &sealing{name: name} // where no guard names the inbox, nobody has its keys
	if in != nil {
		sealed = &in.sealing
	}
	for _, a := range record.Attempts {
		r.Last = append(r.Last, adminapi.InboxAttempt{
			Number: a.Number, At: a.At, Seconds: a.Took.Seconds(), Status: a.Status, Error: a.Error, Answer: string(sealed.head(keys[0], a.Head)),
		})
	}
	if request && record.Envelope != nil {
		if e, sealedErr := sealed.envelope(keys[0], record.Envelope); sealedErr != nil {
			r.RequestError = sealedErr.Error()
		} else {
			converted := adminapi.InboxRequest(e)
			r.Request = &converted
		}
	}
	return r, nil
}

// keysOf returns the keys of events that are named by their key or ID.
func keysOf(ctx context.Context, q inbox.Queue, events []string) (keys []inbox.Key, err error) {
	for _, event := range events {
		if key, ok := inbox.ParseKey(event); ok && key != (inbox.Key{}) {
			if _, err := q.Get(ctx, key); err == nil {
				keys = append(keys, key)
				continue
			} else if !errors.Is(err, inbox.ErrUnknown) {
				return nil, err
			}
		}
		if event == "" {
			return nil, fmt.Errorf("%w: an event is named by its key or ID", ErrAsked)
		}
		found, err := inbox.Select(ctx, q, inbox.Filter{ID: event})
		if err != nil {
			return nil, err
		}
		switch len(found) {
		case 0:
			return nil, fmt.Errorf("%w: there is no event %q", ErrAsked, event)
		case 1:
			keys = append(keys, found[0])
		default: // of several tenants, and only one is meant
			return nil, ambiguous(ctx, q, event, found)
		}
	}
	return keys, nil
}

// mostNamed is how many events an error names.
const mostNamed = 10

// ambiguous is why an ID that several events have names none of them.
func ambiguous(ctx context.Context, q inbox.Queue, id string, keys []inbox.Key) error {
	var named []string
	for _, key := range keys[:min(len(keys), mostNamed)] {
		if record, err := q.Get(ctx, key); err == nil {
			named = append(named, fmt.Sprintf("%s of the scope %q", key, record.Scope))
		}
	}
	if len(named) < len(keys) {
		named = append(named, "…")
	}
	return fmt.Errorf("%w: %d events have the ID %q: name the one that is meant by its key: %s", ErrAsked, len(keys), id, strings.Join(named, ", "))
}

func filterOf(f adminapi.InboxFilter) (filter inbox.Filter, err error) {
	filter = inbox.Filter{Scope: f.Scope, ID: f.ID, Type: f.Type, Reason: f.Reason}
	if f.State != "" {
		state, ok := inbox.ParseState(f.State)
		if !ok || state == inbox.Any {
			return filter, fmt.Errorf("%w: %q is not a state: there are ready, delayed, leased, dead and done", ErrAsked, f.State)
		}
		filter.State = state
	}
	if f.Since != nil {
		filter.Since = *f.Since
	}
	if f.Until != nil {
		filter.Until = *f.Until
	}
	return filter, nil
}

func eventOf(i inbox.Info) adminapi.InboxEvent {
	return adminapi.InboxEvent{
		Key: i.Key.String(), Scope: i.Scope, ID: i.ID, Type: i.Type, State: i.State.String(), Accepted: i.Accepted,
		Due: when(i.Due), Settled: when(i.Settled), Attempts: i.Attempts, Replay: i.Replay, Status: i.Status, Reason: i.Reason, Size: i.Size,
	}
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
