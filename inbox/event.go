package inbox

import "time"

// Event is what Put keeps.
type Event struct {
	// Key names the event in its inbox.
	Key Key
	// Scope is the namespace of the ID, ID the sender's ID, Type the event's type. They are
	// there to be listed and searched, and have MaxText bytes each at most.
	Scope, ID, Type string
	// Envelope is the request, as Envelope.Encode returns it, maybe encrypted. To a store it
	// is opaque, and never changes. It is not empty. Put does not keep the slice.
	Envelope []byte
}

// Info is what is known of an event without its envelope.
type Info struct {
	Key             Key
	Scope, ID, Type string
	// State is where the event stands now.
	State State
	// Accepted is when the event was accepted.
	Accepted time.Time
	// Begun is when this round of attempts began: as Accepted, or when the event was revived
	// or replayed. An event is given up by the time since then.
	Begun time.Time
	// Due is since when, or from when on, a waiting event may be taken: the end of its lease
	// where it is leased. Zero for others.
	Due time.Time
	// Settled is when the event became dead or done. Zero for others.
	Settled time.Time
	// Attempts is how often the event has been taken in this round.
	Attempts int
	// Replay: somebody has replayed it, and this round is that replay.
	Replay bool
	// Status is that of the last answer; 0 where there was none.
	Status int
	// Reason is why a dead event was given up, or why a waiting one was postponed last.
	Reason string
	// Size is that of the envelope as it was given to Put; 0 where it is not kept.
	Size int
}

// Delivery is an event that was taken.
type Delivery struct {
	Info
	// Envelope is what was given to Put.
	Envelope []byte
}

// Batch is what Take gives.
type Batch struct {
	// Token is what all of the deliveries are leased under.
	Token Token
	// Deliveries are those that are due longest first.
	Deliveries []Delivery
	// Now is the store's time.
	Now time.Time
	// Wait is how long nothing else will be ready, unless something is put, replayed or
	// settled. It is 0 where something may be ready now, and negative where nothing is
	// known to come: the inbox is empty or paused.
	Wait time.Duration
	// Probe: the one delivery is to find out whether the app is back. See Queue.Hold.
	Probe bool
}

// Outcome is how an attempt ended.
type Outcome uint8

const (
	// Success: the app has answered success. The event is done.
	Success Outcome = iota + 1
	// Retry: the event is to be taken again after a delay.
	Retry
	// GiveUp: the event is dead.
	GiveUp
	// Postpone: the gateway could not try it. The event is to be taken again after a delay,
	// and the attempt does not count.
	Postpone
)

const (
	// Damaged is the reason of an event whose envelope cannot be read.
	Damaged = "damaged"
	// Locked is the reason of an event that waits for the key of its envelope.
	Locked = "locked"
	// Newer is the reason of an event that waits for a gateway of a later version, which has
	// written its envelope.
	Newer = "newer"
)

// Settlement ends an attempt.
type Settlement struct {
	Outcome Outcome
	// Delay is how long a retry waits, or an event that is postponed.
	Delay time.Duration
	// Reason is a word or two that say why the event is given up, or postponed. There are few of them in
	// all, as they are counted. It has MaxReason bytes at most.
	Reason string
	// Attempt is what is remembered of the attempt; nothing of one that is postponed.
	Attempt Attempt
}

// Attempt is what is remembered of one attempt. One that ended with its gateway leaves
// none.
type Attempt struct {
	// Number is Info.Attempts as the attempt began.
	Number int
	// At is when it was taken, and Took how long the app worked.
	At   time.Time
	Took time.Duration
	// Status is that of the app's answer; 0 where there was none.
	Status int
	// Error is what went wrong where there was no answer, in words. It is cut to MaxText
	// bytes.
	Error string
	// Head is the beginning of the answer's body. To a store it is opaque. It is cut to
	// MaxHead bytes.
	Head []byte
}

// Record is all that is known of an event.
type Record struct {
	Info
	// Envelope is what was given to Put; nil where it is not kept or cannot be read.
	Envelope []byte
	// Attempts are the last ones of all rounds, MaxAttempts at most, oldest first.
	Attempts []Attempt
}

// Filter says which events are meant: those that match all of its fields that are not zero.
type Filter struct {
	State State
	// Scope, ID, Type and Reason are matched as a whole. Reason is that of dead events.
	Scope, ID, Type, Reason string
	// Since and Until bound when the event was accepted; an event accepted at Until does not
	// match.
	Since, Until time.Time
}

// Match reports whether an event is meant.
func (f Filter) Match(i Info) bool {
	return (f.State == Any || f.State == i.State) &&
		(f.Scope == "" || f.Scope == i.Scope) &&
		(f.ID == "" || f.ID == i.ID) &&
		(f.Type == "" || f.Type == i.Type) &&
		(f.Reason == "" || i.State == Dead && f.Reason == i.Reason) &&
		(f.Since.IsZero() || !i.Accepted.Before(f.Since)) &&
		(f.Until.IsZero() || i.Accepted.Before(f.Until))
}

// Page is a part of a list.
type Page struct {
	Events []Info
	// Next is the cursor of the page behind this one; "" where there is none.
	Next string
	// Looked is how many events were looked at, whether or not they match.
	Looked int
}

// Status is how an inbox stands.
type Status struct {
	// Ready, Delayed, Leased, Dead and Done count the events in each state. Those whose time
	// in Options is over count until Take has removed them.
	Ready, Delayed, Leased, Dead, Done int64
	// Bytes is the sum of the envelopes of waiting events.
	Bytes int64
	// Reasons counts the dead by reason. Reasons without any are not there.
	Reasons map[string]int64
	// Finished counts the done by when they became so: one number for each of the last
	// RateMinutes minutes of the clock, the current one last. Those that are not listed any
	// more are not counted.
	Finished []int64
	// OldestReady is since when the one that has been ready longest is; zero where none is.
	OldestReady time.Time
	// Now is the store's time.
	Now time.Time
	// Paused: somebody has paused the inbox.
	Paused bool
	// Held: the inbox is held, or only probes are given out.
	Held bool
}

// Waiting counts the events that are yet to be delivered.
func (s Status) Waiting() int64 { return s.Ready + s.Delayed + s.Leased }
