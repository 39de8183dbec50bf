package simulate

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Costs are what one event takes of each node. Times are seconds.
type Costs struct {
	GatewayCPU float64 // of one gateway, for an event from accept to answer
	DeliverCPU float64 // of one gateway, for the delivery of an event that an inbox has
	RedisCPU   float64 // of one shard, for an event's claim and commit together
	PutCPU     float64 // of one shard, for an event's put into an inbox
	TakeCPU    float64 // of one shard, for its take and settlement together
	RoundTrip  float64 // of the network between gateway and shard
	Timeout    float64 // after which a gateway gives a step of the store up
}

// Plan is one simulated installation and the load on it.
type Plan struct {
	Costs
	Rate     float64 // events a second, at random times
	Seconds  float64
	Gateways int
	CPUs     int // of one gateway
	Shards   int
	App      float64 // mean seconds that the app takes for an event
	Inbox    bool    // accept first, deliver afterwards
	Lanes    []int   // of the inboxes: the shard of each. None: one on each shard
	// A node that is lost: at this time, for so many seconds. 0 is none.
	ShardLostAt, ShardLostFor     float64
	GatewayLostAt, GatewayLostFor float64
	// Noticed is how long the load balancer sends requests to a gateway that is gone.
	Noticed float64
	// Retry is when senders try again, on average. Lease is how long a claim holds whose gateway
	// is gone, and InboxLease how long an event of an inbox does.
	Retry, Lease, InboxLease float64
	Seed                     uint64
}

// Outcome is what came of a plan.
type Outcome struct {
	Sent, Delivered int // events; delivered are those whose senders had their answer
	Called, Twice   int // of these, the app had: at all, and more than once
	Finished        int // events of an inbox whose success it has
	Refused         int // requests that got 503, or no answer
	InFlight        int // of these, for a claim of a gateway that was gone
	Uncommitted     int // successes that the shard does not have yet: a copy would be forwarded
	Unanswered      int // events that were still on their way at the end
	// What the installation adds to the app's own time, in seconds: until the sender's
	// answer, and with an inbox until the app is called.
	P50, P99, ToApp99 float64
	GatewayBusy       float64 // share of its CPUs, on average
	ShardBusy         float64 // of the busiest
	LongestQueue      int     // at a shard
	// Settled is the time when the last event that a lost node had delayed was answered.
	Settled float64
}

// Run simulates a plan. Runs of one plan are equal.
func Run(p Plan) Outcome {
	s := &system{Plan: p, random: rand.New(rand.NewPCG(p.Seed, 17))}
	for range p.Gateways {
		s.gateways = append(s.gateways, &station{clock: &s.clock, servers: p.CPUs})
	}
	for range p.Shards {
		s.shards = append(s.shards, &station{clock: &s.clock, servers: 1})
	}
	s.lose(s.shards, p.ShardLostAt, p.ShardLostFor, 0)
	s.lose(s.gateways, p.GatewayLostAt, p.GatewayLostFor, p.Noticed)
	s.arrive()
	s.clock.run(p.Seconds)
	s.measureLoad()
	s.clock.run(10 * p.Seconds) // what is on its way
	return s.outcome()
}

type system struct {
	Plan
	clock    clock
	random   *rand.Rand
	gateways []*station
	shards   []*station
	unknown  *station // a gateway that is gone, which the load balancer does not know yet
	next     int      // gateway to get a request, and
	// nextWorker, to deliver an event of an inbox.
	nextWorker int
	added      []float64
	toApp      []float64
	Outcome
}

// lose has the first of these nodes fail.
func (s *system) lose(nodes []*station, at, seconds, noticed float64) {
	if at == 0 {
		return
	}
	lost := nodes[0]
	s.clock.after(at, func() {
		if noticed > 0 {
			s.unknown = lost
			s.clock.after(noticed, func() { s.unknown = nil })
		}
		lost.fail()
	})
	s.clock.after(at+seconds, lost.recover)
}

// arrive sends events at random times, as many senders together do.
func (s *system) arrive() {
	if s.clock.now >= s.Seconds {
		return
	}
	s.Sent++
	e := &event{system: s, sent: s.clock.now, shard: s.shards[s.random.IntN(len(s.shards))], lane: s.lane()}
	e.send()
	s.clock.after(s.random.ExpFloat64()/s.Rate, s.arrive)
}

// lane is the shard that has a new event's place in the inbox.
func (s *system) lane() *station {
	if len(s.Lanes) == 0 {
		return s.shards[s.random.IntN(len(s.shards))]
	}
	return s.shards[s.Lanes[s.random.IntN(len(s.Lanes))]]
}

// gateway is the one that the load balancer sends the next request to.
func (s *system) gateway() *station {
	for range s.gateways {
		s.next = (s.next + 1) % len(s.gateways)
		if g := s.gateways[s.next]; !g.down || g == s.unknown {
			return g
		}
	}
	return s.gateways[0]
}

// varied is a time around a mean: half of it is fixed, the rest is drawn.
func (s *system) varied(mean float64) float64 { return mean/2 + s.random.ExpFloat64()*mean/2 }

// measureLoad notes how busy the nodes were while events came.
func (s *system) measureLoad() {
	for _, g := range s.gateways {
		s.GatewayBusy += g.worked / float64(len(s.gateways)*s.CPUs) / s.Seconds
	}
	for _, shard := range s.shards {
		s.ShardBusy = max(s.ShardBusy, shard.worked/s.Seconds)
	}
}

func (s *system) outcome() Outcome {
	o := s.Outcome
	for _, shard := range s.shards {
		o.LongestQueue = max(o.LongestQueue, shard.longest)
	}
	o.Unanswered = o.Sent - len(s.added)
	slices.Sort(s.added)
	slices.Sort(s.toApp)
	o.P50, o.P99, o.ToApp99 = quantile(s.added, .5), quantile(s.added, .99), quantile(s.toApp, .99)
	return o
}

func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// Capacity is the rate at which the busiest kind of node of a plan has no time left, in
// events a second, and which kind that is.
func Capacity(p Plan) (rate float64, what string) {
	gateway, shard := p.GatewayCPU, p.RedisCPU
	if p.Inbox {
		gateway += p.DeliverCPU
		shard += p.PutCPU + p.TakeCPU
	}
	gateways, shards := float64(p.Gateways*p.CPUs)/gateway, float64(p.Shards)/shard
	if gateways < shards {
		return gateways, "the gateways"
	}
	return shards, "the Redis masters"
}
