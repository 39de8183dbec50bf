package ui

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

const (
	// perPage is how many events one screen lists.
	perPage = 50
	// lookFor is how long one screen looks for events that match, where few do.
	lookFor = 50 * time.Millisecond
)

// filter says which events of an inbox a screen is about, as its URL has it.
type filter struct {
	Inbox, ID, State, Type, Scope, Reason, Since, Until string
}

func filterFrom(query url.Values) filter {
	return filter{
		Inbox: query.Get("inbox"), ID: query.Get("id"), State: query.Get("state"), Type: query.Get("type"),
		Scope: query.Get("scope"), Reason: query.Get("reason"), Since: query.Get("since"), Until: query.Get("until"),
	}
}

// Narrow reports whether the filter leaves any event out.
func (f filter) Narrow() bool { return f != filter{Inbox: f.Inbox} }

// More reports whether a filter is set that the form shows only when it is asked for.
func (f filter) More() bool { return f.Type+f.Scope+f.Reason+f.Since+f.Until != "" }

// Link is the URL of a screen about the events that match.
func (f filter) Link(root, screen string, more ...string) string {
	return link(root, screen, append([]string{"inbox", f.Inbox, "id", f.ID, "state", f.State, "type", f.Type, "scope", f.Scope,
		"reason", f.Reason, "since", f.Since, "until", f.Until}, more...)...)
}

// InState is the same filter for another state.
func (f filter) InState(state string) filter {
	f.State = state
	return f
}

// asked is the filter as the inboxes take it.
func (f filter) asked(now time.Time) (asked adminapi.InboxFilter, err error) {
	asked = adminapi.InboxFilter{State: f.State, ID: f.ID, Type: f.Type, Scope: f.Scope, Reason: f.Reason}
	if asked.Since, err = timeIn("Since", f.Since, now); err != nil {
		return asked, err
	}
	asked.Until, err = timeIn("Until", f.Until, now)
	return asked, err
}

// fixed is the same filter with times in place of how long ago these are, so that it means the
// same events when the form comes back.
func (f filter) fixed(now time.Time) filter {
	for _, text := range []*string{&f.Since, &f.Until} {
		if t, err := timeIn("", *text, now.Truncate(time.Second)); err == nil && t != nil {
			*text = t.UTC().Format(time.RFC3339Nano)
		}
	}
	return f
}

// timeIn reads a time, or how long ago it was.
func timeIn(field, text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if ago, err2 := time.ParseDuration(text); err2 == nil {
		t, err = now.Add(-ago), nil
	}
	if err != nil {
		return nil, refusal{http.StatusBadRequest, fmt.Sprintf("%s: write a time such as 2026-12-31T00:00:00Z, or how long ago it was, such as 24h.", field)}
	}
	return &t, nil
}

// deliveries is what the screen of that name shows.
type deliveries struct {
	Inboxes []adminapi.InboxState
	Inbox   adminapi.InboxState
	Filter  filter
	Cursor  string // of this page
	Events  []adminapi.InboxEvent
	Looked  int64  // how many events were looked at to find these
	Next    string // the cursor of older ones; "" where there are none
	Wrong   string // what is wrong with the filter
}

// Short reports whether the search has ended before the screen was full, and may go on.
func (d deliveries) Short() bool { return d.Next != "" && len(d.Events) < perPage }

// States are those that a filter can ask for.
func (deliveries) States() []string { return inbox.StateNames() }

func showDeliveries(v *visit) error {
	states, err := v.states()
	if err != nil {
		return err
	}
	query := v.r.URL.Query()
	d := deliveries{Inboxes: states, Filter: filterFrom(query), Cursor: query.Get("cursor")}
	if d.Inbox, err = chosen(query, states); errors.Is(err, inboxes.ErrNone) {
		v.render(http.StatusOK, "none", page{Title: "Deliveries"})
		return nil
	} else if err != nil {
		return err
	}
	d.Filter.Inbox = d.Inbox.Name
	status := http.StatusOK
	var wrong refusal
	switch err := v.find(&d); {
	case errors.As(err, &wrong):
		status, d.Wrong = wrong.status, wrong.text
	case errors.Is(err, inboxes.ErrAsked):
		status, d.Wrong = http.StatusBadRequest, err.Error()
	case err != nil:
		return err
	}
	v.render(status, "deliveries", page{Title: "Deliveries", Live: d.Cursor == "" && d.Wrong == "", Message: doneMessage(query), Data: d})
	return nil
}

// find fills in the events. A store looks at a bounded number of them for each call, so that
// it may take a few where few match; after a while the user decides whether to go on.
func (v *visit) find(d *deliveries) error {
	asked, err := d.Filter.asked(v.now)
	if err != nil {
		return err
	}
	begun := time.Now()
	d.Next = d.Cursor
	return v.gateway.Inboxes(func(m inboxes.Manager) error {
		for {
			found, err := m.Page(v.r.Context(), d.Filter.Inbox, asked, d.Next, perPage-len(d.Events))
			if err != nil {
				return err
			}
			d.Events, d.Next, d.Looked = append(d.Events, found.Events...), found.Next, d.Looked+int64(found.Looked)
			if d.Next == "" || len(d.Events) >= perPage || time.Since(begun) > lookFor {
				return nil
			}
		}
	})
}
