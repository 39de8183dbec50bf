package simulate

// put has the inbox keep the event. It is delivered from then on, whether its sender hears of
// it or not. A copy of it changes nothing.
func (e *event) put() {
	e.ask(e.gateway, e.lane, e.PutCPU, func() {
		if !e.kept {
			e.kept = true
			e.deliver()
		}
		e.commit()
	}, e.orphaned)
}

// attempt is one attempt of a gateway to deliver an event of the inbox.
type attempt struct {
	*event
	worker *station
	until  float64 // the end of its lease
}

// deliver has a gateway attempt it.
func (e *event) deliver() {
	a := &attempt{e, e.worker(), e.clock.now + e.InboxLease}
	a.worker.serve(job{e.varied(e.DeliverCPU), func() { e.ask(a.worker, e.lane, e.TakeCPU/2, a.call, a.lost) }, a.lost})
}

// worker is any gateway that is there.
func (s *system) worker() *station {
	for range s.gateways {
		s.nextWorker = (s.nextWorker + 1) % len(s.gateways)
		if g := s.gateways[s.nextWorker]; !g.down {
			return g
		}
	}
	return s.gateways[0]
}

func (a *attempt) call() { a.clock.after(a.called(), a.settle) }

// settle notes the success, and goes on trying for as long as the lease holds.
func (a *attempt) settle() {
	if a.worker.down || a.clock.now >= a.until {
		a.lost()
		return
	}
	a.ask(a.worker, a.lane, a.TakeCPU/2, func() { a.Finished++ }, a.settle)
}

// lost is an attempt that comes to nothing. If its gateway is gone, the next one is made when
// the lease has ended; a shard that is gone has given no lease.
func (a *attempt) lost() {
	wait := a.Timeout
	if a.worker.down {
		wait = max(wait, a.until-a.clock.now)
	}
	a.clock.after(wait, a.deliver)
}
