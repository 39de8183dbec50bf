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
	waited  float64  // of that, in the app
	shard   *station // of its keys
	lane    *station // of its place in the inbox
	gateway *station
	tries   int
	calls   int  // of the app
	kept    bool // by the inbox
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

// ask is one step at a shard, there and back. It is lost with the shard, or with the gateway
// that waits for the answer.
func (s *system) ask(gateway, shard *station, seconds float64, then, lost func()) {
	s.clock.after(s.varied(s.RoundTrip)/2, func() {
		back := func() {
			if gateway.down {
				lost()
				return
			}
			then()
		}
		shard.serve(job{s.varied(seconds), func() { s.clock.after(s.varied(s.RoundTrip)/2, back) }, func() { s.clock.after(s.Timeout, lost) }})
	})
}

func (e *event) claim() {
	if e.clock.now < e.held {
		e.Outcome.InFlight++
		e.refused()
		return
	}
	then := func() { e.work(workBeforeApp, e.forward) }
	if e.Inbox {
		then = e.put
	}
	e.ask(e.gateway, e.shard, e.RedisCPU/2, then, e.orphaned)
}

// forward is the app's part, while the sender waits.
func (e *event) forward() {
	took := e.called()
	e.waited += took
	gateway := e.gateway
	e.clock.after(took, func() {
		if gateway.down {
			e.orphaned()
			return
		}
		e.commit()
	})
}

// called counts a call of the app, and returns how long it takes.
func (e *event) called() float64 {
	e.calls++
	switch e.calls {
	case 1:
		e.Called++
		e.toApp = append(e.toApp, e.clock.now-e.sent)
	case 2:
		e.Twice++
	}
	return e.varied(e.App)
}

func (e *event) commit() { e.ask(e.gateway, e.shard, e.RedisCPU/2, e.committed, e.uncommitted) }

func (e *event) committed() {
	done := workBeforeClaim
	if !e.Inbox {
		done += workBeforeApp
	}
	e.work(1-done, e.answer)
}

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
