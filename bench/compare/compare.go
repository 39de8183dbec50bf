//go:build linux

package compare

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/bench/report"
)

// Plan states what is compared.
type Plan struct {
	// Rounds of the main table; SweepRounds of all others.
	Rounds, SweepRounds int
	Length              Length
	Variants            []Variant // the floor among them
	Tables              []string  // by the names of package report
	Conns               int       // of every table but that of connections
	LatencyConns        int
	Sweep               Sweep
	Log                 func(format string, args ...any)
	Keep                func(*report.Results) // called after each table; nil keeps none
	// Scope runs a part of the comparison with a testing.TB of its own, whose clean-up
	// is done when it returns; nil in a test.
	Scope func(func(testing.TB))
}

// Sweep holds the values that vary.
type Sweep struct {
	Conns   []int
	Sizes   []int
	Senders []string
	Shares  []float64 // of the floor's capacity, and of each variant's own
	CPUs    []int
	// Remembered are numbers of events in a store, rising.
	Remembered []int
	// RedisEvents is the number of events for the measurement of Redis.
	RedisEvents int
	// Waiting is the number of events of an outage.
	Waiting int
}

const kilobyte = 1 << 10

// Run performs the plan.
func (p Plan) Run(tb testing.TB) *report.Results {
	tb.Helper()
	e := &env{redis: startRedis(tb), app: startApp(tb)}
	results := &report.Results{Floor: Floor}
	p.Variants = slices.DeleteFunc(slices.Clone(p.Variants), func(v Variant) bool {
		if v.missing == nil {
			return false
		}
		why := v.missing(tb)
		if why != "" {
			results.Skipped = append(results.Skipped, fmt.Sprintf("left out: %s: %s", v.Title, why))
		}
		return why != ""
	})
	for _, v := range p.Variants {
		results.Variants = append(results.Variants, v.Variant)
	}
	results.BareHash = bareHash(256 * kilobyte)
	for _, table := range p.Tables {
		switch table {
		case report.Redis:
			p.redisUse(tb, e, results)
		case report.Remembered:
			p.remembered(tb, e, results)
		case report.InboxUses:
			p.inboxUses(tb, e, results)
		default:
			p.table(tb, e, table, results)
		}
		if p.Keep != nil {
			p.Keep(results)
		}
	}
	return results
}

func (p Plan) table(tb testing.TB, e *env, table string, results *report.Results) {
	tb.Helper()
	rounds := p.SweepRounds
	if table == report.Main || table == report.Inbox {
		rounds = p.Rounds
	}
	cells, capacity := p.cells(table), map[string]float64{}
	if table == report.Latency {
		capacity = p.capacities(tb, e)
	}
	for round := 1; round <= rounds; round++ {
		for _, cell := range cells {
			variants := p.variants(table)
			rand.Shuffle(len(variants), func(i, j int) { variants[i], variants[j] = variants[j], variants[i] })
			for _, v := range variants {
				whose := Floor
				if cell.Own {
					whose = v.Name
				}
				if cell.Own && v.Name == Floor {
					continue // it is measured at shares of its own capacity already
				}
				sample := p.measure(tb, e, v, cell, math.Round(cell.Share*capacity[whose]))
				sample.Round = round
				results.Samples = append(results.Samples, sample)
				p.Log("%s %d/%d  %s, %d KB, %d connections  %-18s %7.0f/s  CPU %6.1f µs  p99 %v %v", table, round, rounds,
					cell.Sender, cell.Size/kilobyte, cell.Conns, v.Name, sample.Throughput, sample.CPU, sample.P99.Round(10*time.Microsecond), orEmpty(sample.Failures))
			}
		}
	}
}

func orEmpty(failures map[string]int) string {
	if len(failures) == 0 {
		return ""
	}
	return fmt.Sprint(failures)
}

// measure runs one variant, and ends the processes that it started.
func (p Plan) measure(tb testing.TB, e *env, v Variant, cell report.Cell, rate float64) (sample report.Sample) {
	tb.Helper()
	p.scoped(tb, func(tb testing.TB) { sample = measure(tb, e, v, cell, rate, p.Length) })
	return sample
}

func (p Plan) scoped(tb testing.TB, do func(testing.TB)) {
	if p.Scope == nil {
		do(tb)
	} else {
		p.Scope(do)
	}
}

// cells returns the cells of a table.
func (p Plan) cells(table string) []report.Cell {
	base := report.Cell{Name: table, Sender: "stripe", Size: kilobyte, Conns: p.Conns}
	vary := []report.Cell{}
	switch table {
	case report.Main, report.Inbox:
		vary = append(vary, base)
	case report.Connections:
		for _, base.Conns = range p.Sweep.Conns {
			vary = append(vary, base)
		}
	case report.Sizes:
		for _, base.Size = range p.Sweep.Sizes {
			vary = append(vary, base)
		}
	case report.Senders:
		for _, base.Sender = range p.Sweep.Senders {
			vary = append(vary, base)
		}
	case report.CPUs:
		for _, base.CPUs = range p.Sweep.CPUs {
			vary = append(vary, base)
		}
	case report.Latency:
		base.Conns = p.LatencyConns
		for _, base.Own = range []bool{false, true} {
			for _, base.Share = range p.Sweep.Shares {
				vary = append(vary, base)
			}
		}
	}
	return vary
}

// variants returns the variants that a table has rows for. Where only the traffic
// varies, these are verification, each store and the peers. Peers take one sender's
// events only, and the number of their CPUs cannot be set here. Latencies are measured
// at many rates, and only where a figure is asked for.
func (p Plan) variants(table string) []Variant {
	return slices.DeleteFunc(slices.Clone(p.Variants), func(v Variant) bool {
		switch table {
		case report.Main:
			return v.inbox != noInbox
		case report.Inbox:
			return v.inbox == noInbox && !slices.Contains([]string{Floor, "disk", "redis"}, v.Name)
		case report.Latency:
			return !slices.Contains([]string{Floor, "verify", "disk", "redis", "nginx-lua"}, v.Name)
		case report.Senders, report.CPUs:
			return !v.common() || v.peer()
		default:
			return !v.common() || v.sender == "github"
		}
	})
}

// capacities are how many requests per second the variants of the latencies answer in the
// closed loop, with as many connections. The floor's is the base of all others' rates.
func (p Plan) capacities(tb testing.TB, e *env) map[string]float64 {
	tb.Helper()
	variants := p.variants(report.Latency)
	if !slices.ContainsFunc(variants, func(v Variant) bool { return v.Name == Floor }) {
		tb.Fatalf("the latencies need the variant %s, whose capacity the rates are shares of", Floor)
	}
	cell := report.Cell{Name: "capacity", Sender: "stripe", Size: kilobyte, Conns: p.LatencyConns}
	capacities := make(map[string]float64)
	for _, v := range variants {
		var seen []float64
		for range 3 {
			seen = append(seen, p.measure(tb, e, v, cell, 0).Throughput)
		}
		slices.SortFunc(seen, cmp.Compare[float64])
		capacities[v.Name] = seen[1]
		p.Log("the capacity of %s with %d connections: %.0f/s", v.Name, cell.Conns, seen[1])
	}
	return capacities
}
