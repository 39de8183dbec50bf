package chaos

import (
	"slices"
	"sync"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// moment is a time since the beginning of a run, by the monotonic clock of the test
// process. Senders, app and faults all run in that process. What a gateway says of its own
// times is of the machine's clock.
type moment = time.Duration

// record is everything that happened in a run.
type record struct {
	begun time.Time

	mu       sync.Mutex
	events   []*event
	byBody   map[string]*event
	attempts int // given out so far; the number of each is in its header
	forged   []*attempt
	forgery  map[int]*attempt // the same by number
	faults   []*fault
	strays   []string // what reached the app and must not have
}

// event is one event of a sender.
type event struct {
	n    int
	from testbed.Sender
	made testbed.Event

	attempts []*attempt
	calls    []*call
	remarks  []remark // of the gateways, about it

	// Of an event of an inbox that has been acknowledged. dead: the inbox listed it among
	// the dead when it was last asked. missing: before it was sent for the last time, it
	// neither waited, nor was dead, nor had been delivered.
	dead, missing bool
}

// attempt is one request of a sender, or of an attacker.
type attempt struct {
	n       int
	kind    attemptKind
	gateway int
	begun   moment
	ended   moment
	status  int    // 0 without a whole answer
	guard   string // the Webhook-Guard header
	err     string
	hungUp  bool // on purpose, by the sender
	timeout bool // of the sender's own
}

type attemptKind string

const (
	genuine attemptKind = "attempt"
	copied  attemptKind = "copy"        // sent together with another one
	resent  attemptKind = "sent again"  // after the event was acknowledged
	swept   attemptKind = "final sweep" // every event once more, at the end
	replay  attemptKind = "replay"      // of a captured request, under a fresh unsigned ID or stamp
	forgery attemptKind = "forgery"
)

// call is one request as the app got it.
type call struct {
	attempt int // the number in its header
	gateway int
	begun   moment // its gateway sends it
	decided moment // just before the app answers
	ended   moment // the answer is written, or given up
	status  int    // that the app answered or began to answer; 0 for none
	work    bool   // the app did the work: to it, the event is handled
	whole   bool   // the answer was written to its end
	how     string
}

// fault is something that was broken, and for how long.
type fault struct {
	kind    string
	detail  string
	gateway int  // the one that it hit, or everyGateway
	hits    part // what it broke
	// loses is whether the store may have lost writes that it had confirmed.
	loses  bool
	start  moment // just before it
	struck moment // it is in effect for sure
	end    moment // all is well again for sure; 0 while it lasts
}

const everyGateway = -1

// part is what a fault breaks.
type part int

const (
	gatewayKilled part = iota
	gatewayStopped
	gatewayFrozen
	gatewayReloaded
	storeHit // the store's servers, or the way to them
	appDown
	appUnwell // it answers slowly, or with failures
)

func newRecord() *record {
	return &record{begun: time.Now(), byBody: make(map[string]*event), forgery: make(map[int]*attempt)}
}

func (r *record) now() moment { return time.Since(r.begun) }

// at is the moment that another process of this machine calls t.
func (r *record) at(t time.Time) moment { return t.Sub(r.begun.Round(0)) }

// register adds an event before it is first sent.
func (r *record) register(from testbed.Sender, made testbed.Event) *event {
	body := from.Body(made)
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &event{n: len(r.events), from: from, made: made}
	r.events = append(r.events, e)
	r.byBody[string(body)] = e
	return e
}

// begin records the start of an attempt. Without an event it is a forgery.
func (r *record) begin(e *event, kind attemptKind, gateway int) *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts++
	a := &attempt{n: r.attempts, kind: kind, gateway: gateway, begun: r.now()}
	if kind == forgery {
		r.forged = append(r.forged, a)
		r.forgery[a.n] = a
		return a
	}
	e.attempts = append(e.attempts, a)
	return a
}

// end records the result of an attempt.
func (r *record) end(a *attempt, how func(*attempt)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.ended = r.now()
	how(a)
}

// acknowledged returns whether a sender got a success for the event.
func (r *record) acknowledged(e *event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(e.attempts, (*attempt).acknowledged)
}

func (a *attempt) acknowledged() bool { return a.status/100 == 2 }

// called records a request that reached the app, and when its gateway sent it. It returns
// nil for a request that must not have, and the number of the event's earlier calls.
func (r *record) called(body []byte, attempt, gateway int, sent time.Time) (*event, *call, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.byBody[string(body)]
	if e == nil || r.forgery[attempt] != nil {
		return nil, nil, 0
	}
	c := &call{attempt: attempt, gateway: gateway, begun: r.at(sent)}
	e.calls = append(e.calls, c)
	return e, c, len(e.calls) - 1
}

// update changes a call.
func (r *record) update(how func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	how()
}

// stray records a request that must not have reached the app.
func (r *record) stray(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.strays = append(r.strays, what)
}

// inject begins a fault. It is in effect when break returns.
func (r *record) inject(f *fault, breaking func()) {
	f.start = r.now()
	r.mu.Lock()
	r.faults = append(r.faults, f)
	r.mu.Unlock()
	breaking()
	r.mu.Lock()
	f.struck = r.now()
	r.mu.Unlock()
}

// lift ends a fault. It is over when repair returns.
func (r *record) lift(f *fault, repair func()) {
	repair()
	r.mu.Lock()
	defer r.mu.Unlock()
	f.end = r.now()
}

// happened adds a fault that is over and began at some time since then.
func (r *record) happened(f *fault, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.start = since.Sub(r.begun)
	f.struck, f.end = f.start, r.now()
	r.faults = append(r.faults, f)
}

// lasted reports whether a fault was in effect at any time between two moments.
func (f *fault) lasted(from, to moment) bool {
	return f.start <= to && (f.end == 0 || f.end >= from)
}

// lastFault is the end of the last fault.
func (r *record) lastFault() (last moment) {
	for _, f := range r.faults {
		last = max(last, f.end)
	}
	return last
}
