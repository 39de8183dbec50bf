package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

// maxWaiting bounds the copies that wait for others, over all events of one
// store. What is beyond it gets `in_flight` at once.
const maxWaiting = 4096

// flights tracks the events that this process is handling. Copies that arrive meanwhile
// wait for the first one instead of asking the store. So a burst of copies costs one
// claim, and all learn the outcome at once.
//
// A flight is no claim. It only orders the attempts of one process; the store
// decides between processes.
type flights struct {
	mu      sync.Mutex
	byKey   map[dedupe.Key]*flight
	waiting int
}

// flight is one attempt in progress. All of it is guarded by flights.mu until it is
// concluded, and fixed from then on.
type flight struct {
	event     dedupe.Event
	body      *body.Body
	concluded bool
	done      chan struct{} // closed then; made for the first that waits

	finished dedupe.Event // the keys that turned out to be finished, if any
	success  dedupe.Success
}

// answers reports whether the flight's outcome is also that of an event with
// these keys. An event that only shares a key which is not finished, such as the
// content of a delivery that was refused for its ID, has yet to be handled.
func (f *flight) answers(event dedupe.Event) bool {
	return f.finished.ID != dedupe.Key{} && f.finished.ID == event.ID ||
		f.finished.Content != dedupe.Key{} && f.finished.Content == event.Content
}

// join makes the caller the leader for the event, unless somebody already
// handles one with either of its keys: then it returns that flight to follow.
// Nobody ever leads with one key and waits for the other.
func (fs *flights) join(event dedupe.Event, held *body.Body) (f *flight, lead bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, key := range []dedupe.Key{event.Content, event.ID} {
		if other := fs.byKey[key]; other != nil {
			return other, false
		}
	}
	f = &flight{event: event, body: held}
	if fs.byKey == nil {
		fs.byKey = make(map[dedupe.Key]*flight)
	}
	for _, key := range []dedupe.Key{event.Content, event.ID} {
		if !key.IsZero() {
			fs.byKey[key] = f
		}
	}
	return f, true
}

// finish ends a flight that the caller leads, and may have concluded. It wakes the followers and makes room for
// another attempt. finished has the keys that are finished now, and success is the
// app's. A follower whose event is not among them takes over.
func (fs *flights) finish(f *flight, finished dedupe.Event, success dedupe.Success) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.concludeLocked(f, finished, success)
	fs.removeLocked(f)
}

// conclude makes the outcome known but leaves the flight where copies find it,
// for as long as the store does not know of the success.
func (fs *flights) conclude(f *flight, finished dedupe.Event, success dedupe.Success) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.concludeLocked(f, finished, success)
}

// remove ends a flight that has been concluded.
func (fs *flights) remove(f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.removeLocked(f)
}

func (fs *flights) concludeLocked(f *flight, finished dedupe.Event, success dedupe.Success) {
	if f.concluded {
		return
	}
	f.finished, f.success = finished, success
	f.body = nil
	f.concluded = true
	if f.done != nil {
		close(f.done)
	}
}

func (fs *flights) removeLocked(f *flight) {
	for _, key := range []dedupe.Key{f.event.Content, f.event.ID} {
		if fs.byKey[key] == f {
			delete(fs.byKey, key)
		}
	}
}

var errTooManyWaiting = errors.New("too many copies are waiting")

// follow waits until the flight is concluded or the context is done.
func (fs *flights) follow(ctx context.Context, f *flight) error {
	fs.mu.Lock()
	switch {
	case f.concluded:
		fs.mu.Unlock()
		return nil // whether there is time and room to wait or not
	case fs.waiting >= maxWaiting:
		fs.mu.Unlock()
		return errTooManyWaiting
	case f.done == nil:
		f.done = make(chan struct{})
	}
	fs.waiting++
	fs.mu.Unlock()
	defer func() {
		fs.mu.Lock()
		fs.waiting--
		fs.mu.Unlock()
	}()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sameBody returns the flight's body in place of the caller's where they are
// equal. So the copies of one event hold its body once.
func (fs *flights) sameBody(f *flight, own *body.Body) *body.Body {
	fs.mu.Lock()
	leaders := f.body
	shared := leaders != nil && leaders != own && leaders.Share()
	fs.mu.Unlock()
	switch {
	case !shared:
		return own
	case !bytes.Equal(leaders.Bytes(), own.Bytes()):
		leaders.Drop()
		return own
	}
	own.Drop()
	return leaders
}
