package main

import (
	"fmt"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/bench/simulate"
)

// plan is an installation with what was measured, and the rest as given in docs/scaling.md.
func (f *figures) plan(gateways, shards int, rate, seconds float64) simulate.Plan {
	return simulate.Plan{
		Costs: simulate.Costs{
			GatewayCPU: f.gatewayCPU * f.overhead() / 1e6, RedisCPU: f.redisCPU * f.overhead() / 1e6,
			RoundTrip: 500e-6, Timeout: 0.5,
		},
		Rate: rate, Seconds: seconds, Gateways: gateways, CPUs: cpusOfGateway, Shards: shards,
		App: 20e-3, Retry: 5, Lease: 10, Seed: 1,
	}
}

// saturation shows what more and more load does to one installation.
func (f *figures) saturation() string {
	const gateways, shards = 3, 1
	capacity, what := simulate.Capacity(f.plan(gateways, shards, 1, 1))
	var b strings.Builder
	fmt.Fprintf(&b, "%d gateways of %d CPUs, %d Redis master. Nearest to their limit are %s, which have no time left at %.0f events/s.\n\n", gateways, cpusOfGateway, shards, what, capacity)
	b.WriteString("| load | events/s | gateways busy | master busy | added p50 ms | added p99 ms | longest queue at Redis |\n|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, share := range []float64{.25, .5, .7, .8, .9, .95, 1.05} {
		o := simulate.Run(f.plan(gateways, shards, share*capacity, 2))
		fmt.Fprintf(&b, "| %.0f%% | %.0f | %.0f%% | %.0f%% | %.1f | %.1f | %d |\n",
			100*share, share*capacity, 100*o.GatewayBusy, 100*o.ShardBusy, 1000*o.P50, 1000*o.P99, o.LongestQueue)
	}
	return b.String()
}

// planned shows that the sizes carry their rates.
func (f *figures) planned() string {
	var b strings.Builder
	b.WriteString("| events/s | gateways | masters | gateways busy | busiest master | added p50 ms | added p99 ms |\n|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, rate := range rates {
		s := f.sizeOf(rate, 1)
		p := f.plan(s.gateways, s.shards(), float64(rate), min(10, 40_000/float64(rate)))
		o := simulate.Run(p)
		fmt.Fprintf(&b, "| %d | %d | %d | %.0f%% | %.0f%% | %.1f | %.1f |\n", rate, p.Gateways, p.Shards, 100*o.GatewayBusy, 100*o.ShardBusy, 1000*o.P50, 1000*o.P99)
	}
	return b.String()
}

// faults shows what a lost node does to an installation for 2,000 events a second.
func (f *figures) faults() string {
	const rate, seconds, at = 2_000, 40, 10
	s := f.sizeOf(rate, 1)
	shards := max(3, s.shards())
	var b strings.Builder
	fmt.Fprintf(&b, "%d events/s on %d gateways and %d masters for %d s. A node is lost after %d s.\n\n", rate, s.gateways, shards, seconds, at)
	b.WriteString("| lost | requests refused, of all events | of these `in_flight` | events without an answer in the end | committed late | all answered after s | p99 s |\n|---|---:|---:|---:|---:|---:|---:|\n")
	for _, fault := range []struct {
		name string
		set  func(*simulate.Plan)
	}{
		{"none", func(*simulate.Plan) {}},
		{"a master, its replica takes over after 15 s", func(p *simulate.Plan) { p.ShardLostAt, p.ShardLostFor = at, 15 }},
		{"a master, its replica takes over after 2 s", func(p *simulate.Plan) { p.ShardLostAt, p.ShardLostFor = at, 2 }},
		{"a gateway, which the load balancer notices after 5 s", func(p *simulate.Plan) { p.GatewayLostAt, p.GatewayLostFor, p.Noticed = at, 1000, 5 }},
		{"a gateway, noticed after 1 s", func(p *simulate.Plan) { p.GatewayLostAt, p.GatewayLostFor, p.Noticed = at, 1000, 1 }},
	} {
		p := f.plan(s.gateways, shards, rate, seconds)
		fault.set(&p)
		o := simulate.Run(p)
		settled := "0"
		if o.Settled > 0 {
			settled = fmt.Sprintf("%.0f", o.Settled-at)
		}
		fmt.Fprintf(&b, "| %s | %.2f%% | %d | %d | %d | %s | %.2f |\n",
			fault.name, 100*float64(o.Refused)/float64(o.Sent), o.InFlight, o.Unanswered, o.Uncommitted, settled, o.P99)
	}
	return b.String()
}
