// Package chaos is the fault harness: several gateways on one store, senders that
// retry as the real ones do, attackers beside them and an app that fails, while
// processes are killed and connections break. At the end it checks event by event,
// from the app's own record, what the gateway promises.
//
// A run goes like this, one file each: a [topology] of store and gateways starts; the
// schedule, drawn from a seed, injects and repairs faults (schedule.go); senders
// deliver (sender.go, attacker.go) to the app (app.go); everything that happens is
// recorded (record.go); and check.go judges the record. explain.go has the causes that
// may explain that an event was handled twice.
//
// In a topology with inboxes the promise is another: what a sender got its 200 for is
// delivered with success, or listed as dead. inbox.go asks the inboxes, inbox_check.go
// judges, and inbox_faults.go has faults that nobody without an inbox waits for.
//
// The seed decides events, faults, targets and times. Threads, sockets and the clock
// decide the rest, so two runs with one seed are similar, not identical.
package chaos

import "time"

// Times of the whole harness. The senders' own are compressed, so that a run of
// seconds has as many retries as their hours.
const (
	// lease is short, so that a claim that a crash left behind ends within a run.
	lease = 3 * time.Second
	// appLimit is the guards' `timeout`: the longest that the app may take.
	appLimit = 5 * time.Second
	// storeLimit is how long a step of the store may take, and be reported.
	storeLimit = time.Second
	// senderLimit is the senders' own time-out.
	senderLimit = 2500 * time.Millisecond
	// maxAge is longer than a run takes, since an event's own stamp stays as it is when it is
	// sent once more at the end. What attackers have captured is older.
	maxAge = 55 * time.Minute
	// inFlightWait is how long a copy waits for the first one's outcome.
	inFlightWait = time.Second
)
