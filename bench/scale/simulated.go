package main

import (
	"fmt"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/bench/simulate"
)

// planner makes a plan with what was measured.
type planner func(gateways, shards int, rate, seconds float64) simulate.Plan

// plan is an installation with what was measured, and the rest as given in docs/scaling.md.
func (f *figures) plan(gateways, shards int, rate, seconds float64) simulate.Plan {
	return simulate.Plan{
		Costs: simulate.Costs{
			GatewayCPU: f.gatewayCPU * f.overhead() / 1e6, RedisCPU: f.redisCPU * f.overhead() / 1e6,
			RoundTrip: 500e-6, Timeout: 0.5,
		},
		Rate: rate, Seconds: seconds, Gateways: gateways, CPUs: cpusOfGateway, Shards: shards,
		App: appSeconds, Retry: 5, Lease: 10, InboxLease: 30, Seed: 1,
	}
}

// inboxPlan is one whose events all go through inboxes.
func (f *figures) inboxPlan(gateways, shards int, rate, seconds float64) simulate.Plan {
	p, micro, i := f.plan(gateways, shards, rate, seconds), f.overhead()/1e6, &f.inbox
	p.Inbox = true
	for _, slot := range slotsOf(f.inboxSizeOf(int(rate)).inboxes) {
		p.Lanes = append(p.Lanes, masterOf(slot, shards))
	}
	p.GatewayCPU, p.DeliverCPU = i.acceptCPU*micro, i.deliverCPU*micro
	p.RedisCPU, p.PutCPU, p.TakeCPU = i.claimCPU*micro, i.putCPU*micro, i.takeCPU*micro
	return p
}

// saturation shows what more and more load does to one installation.
func saturation(plan planner) string {
	const gateways, shards = 3, 1
	capacity, what := simulate.Capacity(plan(gateways, shards, 1, 1))
	var b strings.Builder
	fmt.Fprintf(&b, "%d gateways of %d CPUs, %d Redis master. Nearest to their limit are %s, which have no time left at %.0f events/s.\n\n", gateways, cpusOfGateway, shards, what, capacity)
	b.WriteString("| load | events/s | gateways busy | master busy | added p50 ms | added p99 ms | until the app has it, p99 ms | longest queue at Redis |\n|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, share := range []float64{.25, .5, .7, .8, .9, .95, 1.05} {
		o := simulate.Run(plan(gateways, shards, share*capacity, 2))
		fmt.Fprintf(&b, "| %.0f%% | %.0f | %.0f%% | %.0f%% | %.1f | %.1f | %.1f | %d |\n",
			100*share, share*capacity, 100*o.GatewayBusy, 100*o.ShardBusy, 1000*o.P50, 1000*o.P99, 1000*o.ToApp99, o.LongestQueue)
	}
	return b.String()
}

// planned shows that the sizes carry their rates.
func (f *figures) planned() string {
	var b strings.Builder
	b.WriteString("| events/s | inbox | gateways | masters | gateways busy | busiest master | added p50 ms | added p99 ms | until the app has it, p99 ms |\n|---:|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, inbox := range []string{"no", "yes"} {
		for _, rate := range rates {
			s, plan := f.sizeOf(rate, 1), planner(f.plan)
			if inbox == "yes" {
				s, plan = f.inboxSizeOf(rate), f.inboxPlan
			}
			p := plan(s.gateways, s.forCPU, float64(rate), min(10, 40_000/float64(rate)))
			o := simulate.Run(p)
			fmt.Fprintf(&b, "| %d | %s | %d | %d | %.0f%% | %.0f%% | %.1f | %.1f | %.1f |\n",
				rate, inbox, p.Gateways, p.Shards, 100*o.GatewayBusy, 100*o.ShardBusy, 1000*o.P50, 1000*o.P99, 1000*o.ToApp99)
		}
	}
	return b.String()
}

// What the tables of faults are of.
const faultRate, faultSeconds, faultAt = 2_000, 40, 10

var faults = []struct {
	name string
	set  func(*simulate.Plan)
}{
	{"none", func(*simulate.Plan) {}},
	{"a master, its replica takes over after 15 s", func(p *simulate.Plan) { p.ShardLostAt, p.ShardLostFor = faultAt, 15 }},
	{"a master, its replica takes over after 2 s", func(p *simulate.Plan) { p.ShardLostAt, p.ShardLostFor = faultAt, 2 }},
	{"a gateway, which the load balancer notices after 5 s", func(p *simulate.Plan) { p.GatewayLostAt, p.GatewayLostFor, p.Noticed = faultAt, 1000, 5 }},
	{"a gateway, noticed after 1 s", func(p *simulate.Plan) { p.GatewayLostAt, p.GatewayLostFor, p.Noticed = faultAt, 1000, 1 }},
}

// faults shows what a lost node does to an installation for 2,000 events a second.
func (f *figures) faults() string { return faultTable(f.sizeOf(faultRate, 1), f.plan) }

// inboxFaults is the same with inboxes.
func (f *figures) inboxFaults() string { return faultTable(f.inboxSizeOf(faultRate), f.inboxPlan) }

func faultTable(s size, plan planner) string {
	shards := max(3, s.forCPU)
	var b strings.Builder
	fmt.Fprintf(&b, "%d events/s on %d gateways and %d masters for %d s. A node is lost after %d s.\n\n", faultRate, s.gateways, shards, faultSeconds, faultAt)
	b.WriteString("| lost | requests refused, of all events | of these `in_flight` | events without an answer in the end | that the app never had | twice | committed late | all answered after s | p99 s | until the app has it, p99 s |\n" +
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, fault := range faults {
		p := plan(s.gateways, shards, faultRate, faultSeconds)
		fault.set(&p)
		o := simulate.Run(p)
		settled := "0"
		if o.Settled > 0 {
			settled = fmt.Sprintf("%.0f", o.Settled-faultAt)
		}
		fmt.Fprintf(&b, "| %s | %.2f%% | %d | %d | %d | %d | %d | %s | %.2f | %.2f |\n",
			fault.name, 100*float64(o.Refused)/float64(o.Sent), o.InFlight, o.Unanswered, o.Sent-o.Called, o.Twice, o.Uncommitted, settled, o.P99, o.ToApp99)
	}
	return b.String()
}
