package simulate

// station serves jobs in the order in which they come, a few at once: the CPUs of a gateway,
// the one thread of a Redis.
type station struct {
	clock   *clock
	servers int
	busy    int
	queue   []job
	down    bool
	worked  float64 // seconds of all servers together
	longest int     // queue so far
}

type job struct {
	seconds float64
	done    func()
	lost    func() // where the station goes down first
}

// serve takes a job on. A station that is down loses it at once.
func (s *station) serve(j job) {
	if s.down {
		j.lost()
		return
	}
	if s.busy == s.servers {
		s.queue = append(s.queue, j)
		s.longest = max(s.longest, len(s.queue))
		return
	}
	s.start(j)
}

func (s *station) start(j job) {
	s.busy++
	s.clock.after(j.seconds, func() {
		s.busy--
		s.worked += j.seconds
		if s.down {
			j.lost()
			return
		}
		if len(s.queue) > 0 {
			next := s.queue[0]
			s.queue = s.queue[1:]
			s.start(next)
		}
		j.done()
	})
}

// fail loses what the station has and what comes until it is up again.
func (s *station) fail() {
	s.down = true
	waiting := s.queue
	s.queue = nil
	for _, j := range waiting {
		j.lost()
	}
}

func (s *station) recover() { s.down = false }
