// Package inbox keeps verified webhook events until the app has taken them.
//
// An event walks through these states:
//
//	Put --> ready --Take--> leased --Settle: success--> done
//	          ^               |  \---Settle: give up--> dead
//	          |               |
//	          |<-- delayed <--|  Settle: retry
//	          |<--------------/  the lease ends
//	          \<-- Replay, or a copy from the sender: dead
//
// Ready, delayed and leased are one time in one place: when the event may be taken. So
// nothing has to be recovered after a crash: a lease simply ends. Each method is one atomic
// step, or a series of them where it says so.
//
// An attempt belongs to a [Token] and counts when it is taken, not when it ends, so that an
// event which ends its gateway runs out of attempts too. Only the token's holder can retry
// an event, postpone it or give it up. A success stands whoever reports it.
//
// The time is the store's, never a gateway's: delays are given as durations, and a [Batch]
// says what time it is.
//
// The package knows nothing of HTTP handlers. The stores are packages of their own. Every
// [Store] passes the suite in queuetest.
package inbox

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	// ErrLost is returned by Extend and Settle when the event is not the token's any more:
	// it was taken again, settled, replayed or deleted.
	ErrLost = errors.New("the event is not this attempt's any more: it was taken again, settled, replayed or deleted")
	// ErrFull is returned by Replay when there is no room for another waiting event.
	ErrFull = errors.New("the inbox is full: wait until the app has taken some, or raise max_events or max_bytes")
	// ErrUnknown is returned by Get for an event that is not kept, or no longer.
	ErrUnknown = errors.New("the inbox does not have such an event")
	// ErrCursor is returned by Page for a cursor that is not one of its own.
	ErrCursor = errors.New("the cursor is not one of this list: begin with the first page")
	// ErrUnsafe is returned by Check where the store may drop events.
	ErrUnsafe = errors.New("the store may drop events that wait")
	// ErrClosed is returned by every method once the store has been closed.
	ErrClosed = errors.New("store is closed")
)

// Key names one event in its inbox. It is a digest, so that neither the size nor the content
// of the event's ID matters to a store. It is never zero.
type Key [16]byte

// String returns k in base64url without padding, 22 characters.
func (k Key) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// ParseKey reads what String returns.
func ParseKey(text string) (k Key, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != len(k) {
		return Key{}, false
	}
	return Key(b), true
}

// Token names the attempts that one Take has begun. The zero Token is nobody's.
type Token [16]byte

// NewToken returns a random token. It never fails.
func NewToken() Token {
	var t Token
	rand.Read(t[:]) // documented to never return an error
	return t
}

// State is where an event stands. Ready, delayed and leased events wait: they are the ones
// that limits count.
type State uint8

const (
	// Any is no event's state. A [Filter] takes it for all of them.
	Any State = iota
	// Ready events may be taken now; those whose lease has ended are among them.
	Ready
	// Delayed events may be taken later: a retry or a replay.
	Delayed
	// Leased events are taken, and the lease has not ended.
	Leased
	// Dead events have been given up.
	Dead
	// Done events are finished: the app has answered success.
	Done
)

var stateNames = [...]string{"any", "ready", "delayed", "leased", "dead", "done"}

// String returns the state's name as users write it.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// StateNames are those of the states that an event can be in, as users write them.
func StateNames() []string { return slices.Clone(stateNames[Ready:]) }

// ParseState reads what String returns.
func ParseState(name string) (State, bool) {
	for s, known := range stateNames {
		if name == known {
			return State(s), true
		}
	}
	return Any, false
}

// Waits reports whether events in s are yet to be delivered.
func (s State) Waits() bool { return s == Ready || s == Delayed || s == Leased }

// Answer is how a queue has taken an event, or its copy.
type Answer uint8

const (
	// Accepted events are new, and kept from now on.
	Accepted Answer = iota + 1
	// Queued events waited already.
	Queued
	// Revived events were dead, and are ready again.
	Revived
	// Finished events are done already.
	Finished
	// Full: there is no room for another waiting event; nothing has changed.
	Full
	// NotKept: the inbox does not have the event, or no longer; nothing has changed.
	NotKept
)

// String returns the answer in words.
func (a Answer) String() string {
	names := [...]string{Accepted: "accepted", Queued: "queued", Revived: "revived", Finished: "finished", Full: "full", NotKept: "not kept"}
	if a >= Accepted && int(a) < len(names) {
		return names[a]
	}
	return fmt.Sprintf("answer(%d)", uint8(a))
}

// Options are what a configuration says about an inbox. Each zero value stands for no
// limit: so an inbox that no configuration names any more keeps all that it has.
type Options struct {
	// MaxEvents and MaxBytes bound the waiting events, and the sum of their envelopes as
	// they were given to Put. Dead and finished events do not count.
	MaxEvents, MaxBytes int64
	// Keep is how long finished events are listed, KeepDead how long dead ones are kept.
	Keep, KeepDead time.Duration
	// KeepBodies keeps the envelopes of finished events as long as they are listed.
	KeepBodies bool
	// Durable makes Put and Revive wait until a second place has the event, where the store
	// does not write to a disk before it answers.
	Durable bool
}

// Store has the inboxes of a gateway, or of all gateways where it is shared. Its methods
// and those of its queues are safe for concurrent use.
type Store interface {
	// Queue returns the inbox of the given name, under the given options. It does nothing
	// else: an inbox needs no making. Several queues of one name are the same inbox, each
	// with its own options.
	Queue(name string, o Options) (Queue, error)

	// Names returns the names of all inboxes that have had an event, in order, whether or
	// not a configuration names them.
	Names(ctx context.Context) ([]string, error)

	// Close closes what the store holds open; later calls return ErrClosed. It does not
	// wait for calls that are under way.
	Close() error
}

// Checker is implemented by stores that depend on settings of somebody else's.
type Checker interface {
	// Check returns ErrUnsafe where these settings let events be dropped, and any other
	// error where it cannot tell.
	Check(ctx context.Context) error
}

// DurableChecker is implemented by queues whose Options.Durable depends on what the store's
// servers have.
type DurableChecker interface {
	// CheckDurable returns why no event can be kept durably as the servers are now, or that it
	// cannot tell.
	CheckDurable(ctx context.Context) error
}

// Queue is one inbox. All methods may be repeated after an error: a repeated call does no
// harm, whether or not the first one took effect. Times are exact to a millisecond.
//
// A store that spreads an inbox over several lanes keeps the promises about order within
// each, and divides limits among them.
type Queue interface {
	// Put keeps an event that is new, and says Accepted once it is safe. Of an event that
	// is there already nothing is changed, but for a dead one: it is ready again, as after
	// Replay, with its old envelope where that can still be read. Put answers everything
	// but NotKept.
	Put(ctx context.Context, ev Event) (Answer, error)

	// Revive is Put for a copy of an event that was accepted before. It never accepts one:
	// an event that is not kept any more was finished or deleted. It answers Queued,
	// Revived, Finished, Full or NotKept.
	Revive(ctx context.Context, k Key) (Answer, error)

	// Take gives up to n ready events to the caller, those that are due longest first. It
	// counts an attempt of each, and leases them under one token. It gives none while the
	// inbox is paused or held, and one where a hold has run out: see Hold. An event whose
	// envelope cannot be read is given to nobody; it is dead, with the reason Damaged.
	//
	// It also removes some of the events whose time in Options is over. Whoever keeps
	// calling it removes all of them; n may be 0 for that.
	Take(ctx context.Context, n int, lease time.Duration) (Batch, error)

	// Extend gives the event a new lease, counted from now, as long as it is the token's.
	// It returns ErrLost where it is not. A lease that has ended can be extended as long
	// as nobody has taken the event since.
	Extend(ctx context.Context, k Key, t Token, lease time.Duration) error

	// Settle ends an attempt. A success finishes the event whoever reports it, even one
	// that is dead by now, and does nothing where the event is done or not kept. Any other
	// outcome returns ErrLost, and changes nothing, where the event is not the token's.
	Settle(ctx context.Context, k Key, t Token, s Settlement) error

	// Replay makes those of keys ready again that are dead, delayed, or done with their
	// envelope kept. Their attempts count from 1, and they are marked as replayed. The
	// first of them is due after the given time, each further one gap later. Others, and
	// those that are not kept, are left alone. It returns how many it has moved, and
	// ErrFull where there was no room for the rest. There may be MaxKeys keys; ReplayAll
	// takes more.
	Replay(ctx context.Context, keys []Key, after, gap time.Duration) (int, error)

	// Delete removes the events, whatever their state, and returns how many there were.
	// What is under way goes on, and its success changes nothing any more. There may be
	// MaxKeys keys; DeleteAll takes more.
	Delete(ctx context.Context, keys []Key) (int, error)

	// Pause makes Take give nothing, until it is called with false. Everything else goes
	// on. It outlasts the process.
	Pause(ctx context.Context, paused bool) error

	// Hold makes Take give nothing for the given time. After that Take gives one event
	// only, and holds the inbox for as long as it leases that, so that one probe at a time
	// finds out whether the app is back. Hold with zero ends it. It need not outlast the
	// process.
	Hold(ctx context.Context, d time.Duration) error

	// Page returns up to limit events that match, beginning behind the cursor, which is ""
	// at first. It walks one state after the other; within one, those that came into it
	// last, or are due last, come first. Dead and finished events of a type, a reason or a
	// time begin with those that were accepted last. An event that does not change during
	// the walk is met exactly once, whatever happens to others.
	//
	// An ID is looked up, and so are the dead and finished events of a type, a reason or a
	// time: however many others there are, none of them is looked at. For what else a filter
	// asks, a call looks at a bounded number of events, so a page may have fewer than limit,
	// even none, and more may follow.
	Page(ctx context.Context, f Filter, cursor string, limit int) (Page, error)

	// Get returns all that is known of an event, or ErrUnknown.
	Get(ctx context.Context, k Key) (Record, error)

	// Status returns the counters, which are exact, and whether events are given out.
	Status(ctx context.Context) (Status, error)
}
