package simulate

import (
	"math"
	"math/rand/v2"
	"testing"
)

// One server with random arrivals has jobs wait as long as the formula of Pollaczek and
// Khinchine says.
func TestAStationHasJobsWaitAsTheFormulaSays(t *testing.T) {
	const mean, jobs = 1e-3, 50_000
	for _, load := range []float64{.3, .6, .8} {
		var c clock
		s := &system{random: rand.New(rand.NewPCG(1, 2))}
		one := &station{clock: &c, servers: 1}
		waited, n := 0.0, 0
		var arrive func()
		arrive = func() {
			if n == jobs {
				return
			}
			n++
			took, at := s.varied(mean), c.now
			one.serve(job{took, func() { waited += c.now - at - took }, func() { t.Error("a job was lost") }})
			c.after(s.random.ExpFloat64()*mean/load, arrive)
		}
		arrive()
		c.run(math.Inf(1))
		const variation = .25 // of varied: half is fixed, the other half exponential
		want := load * mean * (1 + variation) / 2 / (1 - load)
		if got := waited / jobs; math.Abs(got/want-1) > .1 {
			t.Errorf("load %g: jobs waited %g s on average, the formula says %g", load, got, want)
		}
		if busy := one.worked / (float64(jobs) * mean / load); math.Abs(busy/load-1) > .02 {
			t.Errorf("load %g: it was busy for %g of the time", load, busy)
		}
	}
}

func installation() Plan {
	return Plan{
		Costs: Costs{GatewayCPU: 120e-6, RedisCPU: 20e-6, DeliverCPU: 100e-6, PutCPU: 25e-6, TakeCPU: 30e-6, RoundTrip: 500e-6, Timeout: .5},
		Rate:  200, Seconds: 20, Gateways: 3, CPUs: 2, Shards: 3, App: 200e-3, Retry: 2, Lease: 5, InboxLease: 15, Seed: 1,
	}
}

// Every event ends with one answer, and reaches the app, whatever is lost meanwhile. It does
// twice where a gateway is lost that had called the app.
func TestEveryEventIsAnsweredOnce(t *testing.T) {
	for name, test := range map[string]struct {
		set                                   func(*Plan)
		refused, inFlight, uncommitted, twice bool
	}{
		"nothing is lost":    {func(*Plan) {}, false, false, false, false},
		"with an inbox":      {func(p *Plan) { p.Inbox = true }, false, false, false, false},
		"a shard":            {func(p *Plan) { p.ShardLostAt, p.ShardLostFor = 5, 5 }, true, false, true, false},
		"a gateway":          {func(p *Plan) { p.GatewayLostAt, p.GatewayLostFor, p.Noticed = 5, 100, 1 }, true, true, false, true},
		"a gateway, noticed": {func(p *Plan) { p.GatewayLostAt, p.GatewayLostFor = 5, 100 }, true, true, false, true},
		// Successes are noted within the lease, when the shard is there again.
		"a shard, with inbox": {func(p *Plan) { p.Inbox = true; p.ShardLostAt, p.ShardLostFor = 5, 5 }, true, false, false, false},
		"a shard, with inbox, for longer than the lease": {
			func(p *Plan) { p.Inbox = true; p.ShardLostAt, p.ShardLostFor = 5, 20 }, true, false, false, true,
		},
		"a gateway, with inbox": {
			func(p *Plan) { p.Inbox = true; p.GatewayLostAt, p.GatewayLostFor, p.Noticed = 5, 100, 1 }, true, false, false, true,
		},
		"both, one after other": {func(p *Plan) {
			p.ShardLostAt, p.ShardLostFor, p.GatewayLostAt, p.GatewayLostFor, p.Noticed = 5, 2, 10, 100, 1
		}, true, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := installation()
			test.set(&p)
			o := Run(p)
			if o.Sent != o.Delivered || o.Unanswered != 0 {
				t.Errorf("of %d events %d were answered, and %d are on their way", o.Sent, o.Delivered, o.Unanswered)
			}
			if o.Called != o.Sent || p.Inbox && o.Finished != o.Sent {
				t.Errorf("of %d events the app had %d, and the inbox knows of %d", o.Sent, o.Called, o.Finished)
			}
			if o.Refused > 0 != test.refused || o.InFlight > 0 != test.inFlight || o.Uncommitted > 0 != test.uncommitted || o.Twice > 0 != test.twice {
				t.Errorf("%d were refused, %d of these in flight, %d committed late, %d called twice", o.Refused, o.InFlight, o.Uncommitted, o.Twice)
			}
			if again := Run(p); again != o {
				t.Errorf("a second run differs: %+v and %+v", o, again)
			}
		})
	}
}

// The capacity that is computed is where the simulation saturates.
func TestWhereItSaturates(t *testing.T) {
	for name, set := range map[string]func(*Plan){
		"gateways":   func(p *Plan) { p.Gateways, p.GatewayCPU = 1, 1200e-6 },
		"shards":     func(p *Plan) { p.Shards, p.RedisCPU = 1, 1000e-6 },
		"deliveries": func(p *Plan) { p.Gateways, p.DeliverCPU, p.Inbox = 1, 1200e-6, true },
		"with inbox": func(p *Plan) { p.Shards, p.PutCPU, p.TakeCPU, p.Inbox = 1, 400e-6, 600e-6, true },
	} {
		t.Run(name, func(t *testing.T) {
			p := installation()
			set(&p)
			capacity, _ := Capacity(p)
			p.Rate, p.Seconds = .7*capacity, 2
			below := Run(p)
			p.Rate, p.Seconds = 1.5*capacity, 10
			above := Run(p)
			if below.P99 > .1 {
				t.Errorf("at 70%% of the capacity of %.0f events/s it adds %g s", capacity, below.P99)
			}
			// An inbox accepts before it delivers, so that what is too much waits there.
			if late := max(above.P99, above.ToApp99); late < 1 {
				t.Errorf("at 150%% of the capacity of %.0f events/s it adds no more than %g s", capacity, late)
			}
		})
	}
}
