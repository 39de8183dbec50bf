// Package adminapi is what the gateway's admin API and the command line that asks it
// have in common.
package adminapi

// EventPath is where the admin API shows single events: GET with `scope` and `id` in
// the query returns an [EventState], DELETE makes the store forget the event. `key`, once
// for each, names the event by its keys in place of its ID.
const EventPath = "/webhook_guard/event"

// EventState is what the admin API says of one event.
type EventState struct {
	// `absent`, `in_flight` or `done`.
	State string `json:"state"`

	// The status of the app's success; 0 unless done.
	Status int `json:"status,omitempty"`

	// How long the store will keep it so by itself, in seconds.
	TTL float64 `json:"ttl,omitempty"`

	// The key of what the event says, where it was asked for by its ID and has such a key.
	Key string `json:"key,omitempty"`

	// The ID that the event came with, where it was asked for by its key. One of more than
	// 128 bytes is cut, and ends with an ellipsis.
	ID string `json:"id,omitempty"`

	// The event was asked for by its ID, and a copy is recognised by nothing else.
	Alone bool `json:"alone,omitempty"`

	// The inbox that has the event, or that a guard of the scope has.
	Inbox string `json:"inbox,omitempty"`

	// What that inbox has of the event, however it was asked for; missing where it has
	// nothing of it, or no longer.
	Kept *InboxEvent `json:"kept,omitempty"`

	// No running guard of the scope has that inbox, so copies do not come to it.
	Unrouted bool `json:"unrouted,omitempty"`

	// The scopes of the running guards, as their lines have them, where none of them can
	// have events in the scope asked for.
	Scopes []string `json:"scopes,omitempty"`
}

// GivenUp reports whether an inbox has the event among its dead ones, from where its next copy
// takes it.
func (e EventState) GivenUp() bool { return e.Kept != nil && e.Kept.State == "dead" && !e.Unrouted }

// Waits reports whether an inbox is yet to deliver the event.
func (e EventState) Waits() bool {
	return e.Kept != nil && e.Kept.State != "dead" && e.Kept.State != "done"
}
