//go:build linux

package compare

import (
	"crypto/hmac"
	"crypto/sha256"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/bench/load"
	"github.com/webhookguard/caddy-webhook-guard/bench/proc"
	"github.com/webhookguard/caddy-webhook-guard/bench/report"
	"github.com/webhookguard/caddy-webhook-guard/bench/traffic"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Length holds the durations of the parts of a run.
type Length struct {
	WarmUp, Run time.Duration
}

// measure starts a variant, warms it up, and measures one run of it. The rate is that
// of an open loop.
func measure(tb testing.TB, e *env, v Variant, cell report.Cell, rate float64, length Length) report.Sample {
	tb.Helper()
	e.redis.reset(tb)
	m := newMeasured(tb, e, v, cell)
	m.warmUp(length.WarmUp)
	if v.inbox == accepting {
		boxed{m}.waitDelivered()
		boxed{m}.pause(true)
	}
	return m.run(rate, length.Run)
}

func newMeasured(tb testing.TB, e *env, v Variant, cell report.Cell) *measured {
	tb.Helper()
	with := *e
	if cell.CPUs > 0 {
		with.gatewayEnv = append(slices.Clone(e.gatewayEnv), "GOMAXPROCS="+strconv.Itoa(cell.CPUs))
	}
	return &measured{
		tb: tb, env: e, variant: v, cell: cell, target: v.start(tb, &with), sender: senderOf(tb, v, cell),
		posts: e.app.posts(tb),
	}
}

// run measures a warm variant.
func (m *measured) run(rate float64, length time.Duration) report.Sample {
	m.tb.Helper()
	speed := m.speed
	if rate > 0 {
		speed = rate
	}
	requests := m.requests(int(speed*length.Seconds()*spare) + m.cell.Conns)
	if m.variant.inbox == delivering {
		boxed{m}.waitDelivered()
	}
	before := m.read()
	result := m.load(requests, rate, length)
	if m.variant.inbox == delivering {
		result.Elapsed += boxed{m}.waitDelivered()
		result.InTime = result.Done
	}
	after := m.read()
	m.checkApp(result, after.posts-before.posts)
	return m.sample(result, rate, before, after)
}

// bareHash is the time, in microseconds, of one HMAC-SHA256 over as many bytes: the part of
// a large body's cost that no guard can do without. It is the shortest of many, in which
// nothing else had the processor.
func bareHash(size int) float64 {
	body := make([]byte, size)
	shortest := time.Hour
	for range 200 {
		start := time.Now()
		mac := hmac.New(sha256.New, body[:32])
		mac.Write(body)
		mac.Sum(nil)
		shortest = min(shortest, time.Since(start))
	}
	return float64(shortest) / float64(time.Microsecond)
}

// spare is by how much a variant may be faster than in its warm-up without running out
// of requests, which ends a run early.
const spare = 1.5

// measured is a variant in one run.
type measured struct {
	tb      testing.TB
	env     *env
	variant Variant
	cell    report.Cell
	target  target
	sender  testbed.Sender
	known   []load.Request // the events of duplicates, or the forgeries
	speed   float64        // answers per second while it was warming up
	taken   int            // requests that went as they should
	posts   int            // that the app had had before
}

func senderOf(tb testing.TB, v Variant, cell report.Cell) testbed.Sender {
	tb.Helper()
	name := cell.Sender
	if v.sender != "" {
		name = v.sender
	}
	senders := traffic.Senders()
	i := slices.IndexFunc(senders, func(s testbed.Sender) bool { return s.Name == name })
	if i < 0 {
		tb.Fatalf("there is no sender %s", name)
	}
	return senders[i]
}

// warmUp runs a variant as it will be measured, and records its speed.
func (m *measured) warmUp(length time.Duration) {
	m.tb.Helper()
	m.prepare()
	requests := m.requests(min(int(length.Seconds()*20_000), (1<<30)/m.cell.Size) + m.cell.Conns)
	result := m.load(requests, 0, length)
	if result.Done == 0 {
		m.tb.Fatalf("%s gave no answer that was wanted while it was warming up: %v", m.variant.Name, result.Wrong)
	}
	m.speed = result.Throughput()
}

// prepare makes the events that a run of duplicates or forgeries repeats.
func (m *measured) prepare() {
	m.tb.Helper()
	n := max(1000, 4*m.cell.Conns)
	if m.cell.Size > 64<<10 {
		n = 4 * m.cell.Conns
	}
	switch m.variant.kind {
	case forgeries:
		m.known = traffic.Make(m.tb, traffic.Forger(m.sender), m.cell.Size, n, testbed.Event{})
	case duplicates:
		m.known = traffic.Make(m.tb, m.sender, m.cell.Size, n, testbed.Event{})
		first := load.Config{
			Addr: m.target.addr, Conns: min(m.cell.Conns, 16), Requests: m.known,
			Want: load.Want{Status: m.variant.want.Status, Guard: "forwarded"},
		}
		if result, err := load.Run(first); err != nil || result.Failures() > 0 {
			m.tb.Fatalf("%s: sending the events for the first time: %v, %v", m.variant.Name, err, result.Wrong)
		}
	}
}

func (m *measured) requests(n int) []load.Request {
	m.tb.Helper()
	if m.variant.kind != unique {
		return m.known
	}
	return traffic.Make(m.tb, m.sender, m.cell.Size, n, testbed.Event{})
}

// load runs without the garbage collector: its heap holds the requests, which the
// collector would scan while the gateway is being measured.
func (m *measured) load(requests []load.Request, rate float64, length time.Duration) load.Result {
	m.tb.Helper()
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	result, err := load.Run(load.Config{
		Addr: m.target.addr, Conns: m.cell.Conns, Requests: requests, Cycle: m.variant.kind != unique,
		Duration: length, Rate: rate, Want: m.variant.want,
	})
	if err != nil {
		m.tb.Fatalf("%s: %v; its last words:\n%s", m.variant.Name, err, m.lastWords())
	}
	m.taken += result.Done
	return result
}

func (m *measured) lastWords() string {
	if m.target.gateway == nil {
		return "(not one of ours)"
	}
	return m.target.gateway.Output()
}

// counters are the values read before and after a run.
type counters struct {
	cpu, redis, app      time.Duration
	mallocs, mallocBytes float64
	memory               proc.Memory
	posts                int
}

func (m *measured) read() counters {
	m.tb.Helper()
	c := counters{cpu: m.cpu(m.target.pid), redis: m.cpu(m.env.redis.pid), app: m.cpu(m.env.app.pid), posts: m.env.app.posts(m.tb)}
	var err error
	if c.memory, err = proc.MemoryOf(m.target.pid); err != nil {
		m.tb.Fatal(err)
	}
	if err := proc.ResetPeak(m.target.pid); err != nil {
		m.tb.Fatal(err)
	}
	if g := m.target.gateway; g != nil {
		c.mallocs, _ = g.Metric("go_memstats_mallocs_total")
		c.mallocBytes, _ = g.Metric("go_memstats_alloc_bytes_total")
	}
	return c
}

func (m *measured) cpu(pid int) time.Duration {
	m.tb.Helper()
	used, err := proc.CPU(pid)
	if err != nil {
		m.tb.Fatal(err)
	}
	return used
}

// checkApp checks the measured work: every forwarded event reached the app once, and
// nothing else did.
func (m *measured) checkApp(result load.Result, posts int) {
	m.tb.Helper()
	want := 0
	if m.variant.forwards {
		want = result.Done
	}
	// A request without a wanted answer may have reached the app all the same.
	if posts < want || posts > want+result.Failures() {
		m.tb.Fatalf("%s: %d requests succeeded, and the app got %d: failures %v", m.variant.Name, result.Done, posts, result.Wrong)
	}
}

func (m *measured) sample(result load.Result, rate float64, before, after counters) report.Sample {
	n := float64(max(result.Done, 1))
	perRequest := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / n }
	failures := maps.Clone(result.Wrong)
	if result.Unsent > 0 && result.Throughput() >= 0.98*rate { // else the table says that it is too slow
		failures["never sent"] = result.Unsent
	}
	return report.Sample{
		Variant: m.variant.Name, Cell: m.cell,
		Throughput: result.Throughput(),
		CPU:        perRequest(after.cpu - before.cpu),
		RedisCPU:   perRequest(after.redis - before.redis),
		AppCPU:     perRequest(after.app - before.app),
		LoadCPU:    perRequest(result.CPU),
		Resident:   after.memory.Resident,
		Peak:       after.memory.Peak,
		Allocs:     (after.mallocs - before.mallocs) / n,
		AllocBytes: (after.mallocBytes - before.mallocBytes) / n,
		Rate:       rate,
		P50:        result.Quantile(0.50), P99: result.Quantile(0.99), P999: result.Quantile(0.999),
		Failures: failures,
	}
}
