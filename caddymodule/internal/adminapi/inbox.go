package adminapi

import "time"

// The paths of inboxes in the admin API. InboxesPath and the two of events are read by GET,
// the latter with `inbox` in the query. The others take a POST of an [InboxChange].
const (
	InboxesPath     = "/webhook_guard/inboxes"      // answers with a list of InboxState
	InboxEventsPath = "/webhook_guard/inbox/events" // filters, limit and cursor in the query; an InboxPage
	InboxEventPath  = "/webhook_guard/inbox/event"  // `event` is a key or an ID, `body=true` asks for the request; an InboxRecord
	InboxReplayPath = "/webhook_guard/inbox/replay" // answers with InboxChanged
	InboxDeletePath = "/webhook_guard/inbox/delete" // answers with InboxChanged
	InboxPausePath  = "/webhook_guard/inbox/pause"  // answers with InboxChanged
	InboxResumePath = "/webhook_guard/inbox/resume" // answers with InboxChanged
)

// InboxState is how an inbox stands.
type InboxState struct {
	Name string `json:"name"`

	// No guard of the running configuration names it, so its events wait.
	Unrouted bool `json:"unrouted,omitempty"`

	Ready   int64 `json:"ready"`
	Delayed int64 `json:"delayed"`
	Leased  int64 `json:"leased"`
	Dead    int64 `json:"dead"`
	Done    int64 `json:"done"`

	// The bytes of the events that wait.
	Bytes int64 `json:"bytes"`

	// The dead by reason.
	Reasons map[string]int64 `json:"reasons,omitempty"`

	// How many events were finished in each of the last 60 minutes, the current one last.
	Rate []int64 `json:"rate,omitempty"`

	// Since when the oldest ready event has been ready.
	OldestReady *time.Time `json:"oldest_ready,omitempty"`

	Paused bool `json:"paused,omitempty"`

	// The app is away.
	Held bool `json:"held,omitempty"`
}

// InboxEvent is what lists say of an event.
type InboxEvent struct {
	Key      string     `json:"key"`
	Scope    string     `json:"scope,omitempty"`
	ID       string     `json:"id,omitempty"`
	Type     string     `json:"type,omitempty"`
	State    string     `json:"state"`
	Accepted time.Time  `json:"accepted"`
	Due      *time.Time `json:"due,omitempty"`
	Settled  *time.Time `json:"settled,omitempty"`
	Attempts int        `json:"attempts"`
	Replay   bool       `json:"replay,omitempty"`
	Status   int        `json:"status,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Size     int        `json:"size,omitempty"`
}

// InboxPage is a part of a list.
type InboxPage struct {
	Events []InboxEvent `json:"events"`

	// The cursor of the next part; missing in the last one.
	Next string `json:"next,omitempty"`

	// How many events were looked at to find these.
	Looked int `json:"looked"`
}

// InboxRecord is all that is known of an event.
type InboxRecord struct {
	InboxEvent

	// The last attempts, oldest first.
	Last []InboxAttempt `json:"last_attempts,omitempty"`

	// The request, where it was asked for and is kept.
	Request *InboxRequest `json:"request,omitempty"`

	// Why the request cannot be shown, though it is kept.
	RequestError string `json:"request_error,omitempty"`
}

// InboxAttempt is one attempt.
type InboxAttempt struct {
	Number  int       `json:"number"`
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"`
	Status  int       `json:"status,omitempty"`
	Error   string    `json:"error,omitempty"`

	// The beginning of the answer's body.
	Answer string `json:"answer,omitempty"`
}

// InboxRequest is an event's request as the app gets it, without the headers of the attempt.
type InboxRequest struct {
	Method     string              `json:"method"`
	URI        string              `json:"uri"`
	Scheme     string              `json:"scheme"`
	Host       string              `json:"host"`
	RemoteAddr string              `json:"remote_addr"`
	Header     map[string][]string `json:"header"`
	Body       []byte              `json:"body"`
}

// InboxFilter says which events are meant: those that match all that is set.
type InboxFilter struct {
	State  string     `json:"state,omitempty"`
	Scope  string     `json:"scope,omitempty"`
	ID     string     `json:"id,omitempty"`
	Type   string     `json:"type,omitempty"`
	Reason string     `json:"reason,omitempty"`
	Since  *time.Time `json:"since,omitempty"`
	Until  *time.Time `json:"until,omitempty"`
}

// InboxChange asks for a change.
type InboxChange struct {
	Inbox string `json:"inbox"`

	// The events that are meant, by key or ID, or else the filter. An empty filter is refused.
	Events []string    `json:"events,omitempty"`
	Filter InboxFilter `json:"filter,omitzero"`

	// Count what matches, and change nothing.
	DryRun bool `json:"dry_run,omitempty"`

	// How many events a second a replay makes ready. Default: all at once.
	PerSecond float64 `json:"per_second,omitempty"`

	// Why, for the log. Required.
	Reason string `json:"reason"`

	// Who, for the log.
	By string `json:"by,omitempty"`
}

// InboxChanged is what a change has done.
type InboxChanged struct {
	// How many events matched, and how many were changed. Of a pause or a resume: 1 where it
	// makes a difference.
	Matched int `json:"matched"`
	Changed int `json:"changed"`
}
