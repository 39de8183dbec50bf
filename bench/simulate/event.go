package simulate

// The share of a gateway's work on an event before the claim, and before the app is called.
// The rest comes with the answer.
const (
	workBeforeClaim = 0.4
	workBeforeApp   = 0.3
)

// event is one event on its way, with all tries of its sender.
type event struct {
	*system
	sent    float64
	waited  float64 // of that, in the app
	shard   *station
	gateway *station
	tries   int
	// held is when the claim of a gateway that is gone ends.
	held float64
}

// send is a try of the sender's.
func (e *event) send() {
	e.tries++
	e.gateway = e.system.gateway()
	e.work(workBeforeClaim, e.claim)
}

// work takes a share of the gateway's work. If the gateway is lost, so is the connection.
func (e *event) work(share float64, then func()) {
	e.gateway.serve(job{e.varied(e.GatewayCPU * share), then, e.refused})
}

// ask is one step at the event's shard, there and back. It is lost with the shard, or with the
// gateway that waits for the answer.
func (e *event) ask(seconds float64, then, lost func()) {
	gateway := e.gateway
	e.clock.after(e.varied(e.RoundTrip)/2, func() {
		back := func() {
			if gateway.down {
				lost()
				return
			}
			then()
		}
		e.shard.serve(job{e.varied(seconds), func() { e.clock.after(e.varied(e.RoundTrip)/2, back) }, func() { e.clock.after(e.Timeout, lost) }})
	})
}

func (e *event) claim() {
	if e.clock.now < e.held {
		e.Outcome.InFlight++
		e.refused()
		return
	}
	if e.Inbox {
		e.ask(e.RedisCPU+e.InboxCPU/3, e.accepted, e.orphaned)
		return
	}
	e.ask(e.RedisCPU/2, func() { e.work(workBeforeApp, e.call) }, e.orphaned)
}

// call is the app's part.
func (e *event) call() {
	e.toApp = append(e.toApp, e.clock.now-e.sent-e.waited)
	took := e.varied(e.App)
	e.waited += took
	gateway := e.gateway
	e.clock.after(took, func() {
		if gateway.down {
			e.orphaned()
			return
		}
		e.ask(e.RedisCPU/2, e.committed, e.uncommitted)
	})
}

func (e *event) committed() { e.work(1-workBeforeClaim-workBeforeApp, e.answer) }

// uncommitted is a success that its shard does not have. The sender gets it all the same,
// unless its gateway is gone, too.
func (e *event) uncommitted() {
	if e.gateway.down {
		e.orphaned()
		return
	}
	e.Outcome.Uncommitted++
	e.committed()
}

// orphaned is an event whose claim may be held by nobody any more.
func (e *event) orphaned() {
	if e.gateway.down {
		e.held = e.clock.now + e.Lease
	}
	e.refused()
}

// accepted answers the sender. What follows no sender waits for: an event that its worker
// loses is another's when its lease ends.
func (e *event) accepted() {
	e.committed()
	late := func() {}
	e.gateway.serve(job{e.varied(e.GatewayCPU * workBeforeApp), func() {
		e.ask(e.InboxCPU/3, func() {
			e.toApp = append(e.toApp, e.clock.now-e.sent)
			e.clock.after(e.varied(e.App), func() { e.ask(e.InboxCPU/3, late, late) })
		}, late)
	}, late})
}

// refused is a 503, or a connection that ended. The sender tries again.
func (e *event) refused() {
	e.Outcome.Refused++
	e.clock.after(e.varied(e.Retry), e.send)
}

func (e *event) answer() {
	e.Delivered++
	e.added = append(e.added, e.clock.now-e.sent-e.waited)
	if e.tries > 1 {
		e.Settled = e.clock.now
	}
}
