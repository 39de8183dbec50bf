//go:build linux

package compare

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/bench/load"
	"github.com/webhookguard/caddy-webhook-guard/bench/report"
	"github.com/webhookguard/caddy-webhook-guard/bench/traffic"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// redisUse measures what an event costs Redis, with the variants that use it, for
// events with one key and with two.
func (p Plan) redisUse(tb testing.TB, e *env, results *report.Results) {
	tb.Helper()
	for _, v := range p.Variants {
		if v.store != "redis" || !v.common() {
			continue
		}
		senders := []string{"stripe", "struktr"}
		if v.peer() {
			senders = []string{v.sender}
		}
		for _, sender := range senders {
			p.scoped(tb, func(tb testing.TB) {
				use := measureRedis(tb, e, v, sender, p.Sweep.RedisEvents)
				results.RedisUse = append(results.RedisUse, use)
				p.Log("redis  %s  %-18s %+v", sender, v.Name, use)
			})
		}
	}
}

func measureRedis(tb testing.TB, e *env, v Variant, sender string, events int) report.RedisUse {
	tb.Helper()
	e.redis.reset(tb)
	empty := e.redis.memory(tb)
	m := newMeasured(tb, e, v, report.Cell{Name: report.Redis, Sender: sender, Size: kilobyte, Conns: 16})
	m.fill(100, m.cell.Conns) // connections, and the scripts
	before := e.redis.usage(tb)
	m.fill(events, m.cell.Conns)
	after := e.redis.usage(tb)
	n := float64(events)
	return report.RedisUse{
		Variant: v.Name, Sender: m.sender.Name,
		Commands: (after.commands - before.commands) / n,
		Sent:     (after.sent - before.sent) / n,
		BytesIn:  (after.in - before.in) / n, BytesOut: (after.out - before.out) / n,
		CPU:    (after.cpu - before.cpu) / n,
		Memory: (e.redis.memory(tb) - empty) / float64(m.taken),
	}
}

// usage holds figures that Redis reports about itself.
type usage struct {
	commands, sent, in, out float64 // sent: without those that scripts call
	cpu                     float64 // µs
}

func (r *redisServer) usage(tb testing.TB) usage {
	tb.Helper()
	stats, cpu := r.info(tb, "stats"), r.info(tb, "cpu")
	u := usage{
		in: number(tb, stats, "total_net_input_bytes"), out: number(tb, stats, "total_net_output_bytes"),
		cpu: 1e6 * (number(tb, cpu, "used_cpu_user") + number(tb, cpu, "used_cpu_sys")),
	}
	scripts := 0.0
	for name, value := range r.info(tb, "commandstats") {
		calls, _, _ := strings.Cut(strings.TrimPrefix(value, "calls="), ",")
		n, err := strconv.ParseFloat(calls, 64)
		if err != nil || name == "cmdstat_info" {
			continue // the section's title, and the asking itself
		}
		u.commands += n
		if strings.HasPrefix(name, "cmdstat_eval") {
			scripts += n
		}
	}
	if u.sent = u.commands; scripts > 0 {
		u.sent = scripts // everything else is called by them
	}
	return u
}

// memory returns the server's memory without connections, which take kilobytes each. It
// closes them; their clients open new ones.
func (r *redisServer) memory(tb testing.TB) float64 {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.client.ClientKillByFilter(ctx, "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		tb.Fatalf("ending the connections of redis-server: %v", err)
	}
	testbed.Eventually(tb, time.Minute, func() bool { return r.info(tb, "clients")["connected_clients"] == "1" }, "redis-server still has connections")
	return number(tb, r.info(tb, "memory"), "used_memory")
}

func number(tb testing.TB, values map[string]string, name string) float64 {
	tb.Helper()
	n, err := strconv.ParseFloat(values[name], 64)
	if err != nil {
		tb.Fatalf("redis-server does not report its %s: %v", name, err)
	}
	return n
}

// crowd is how many connections fill a store, so that commits share a sync.
const crowd = 128

// fill sends n new events and checks that all are accepted.
func (m *measured) fill(n, conns int) {
	m.tb.Helper()
	const atOnce = 50_000 // which fit into memory easily
	for ; n > 0; n -= atOnce {
		requests := traffic.Make(m.tb, m.sender, m.cell.Size, min(n, atOnce), testbed.Event{})
		result, err := load.Run(load.Config{Addr: m.target.addr, Conns: conns, Requests: requests, Want: m.variant.want})
		m.taken += result.Done
		if err != nil || result.Failures() > 0 {
			m.tb.Fatalf("%s: filling the store: %v, %v", m.variant.Name, err, result.Wrong)
		}
	}
}

// remembered measures the cost and the memory of a store that remembers many events.
func (p Plan) remembered(tb testing.TB, e *env, results *report.Results) {
	tb.Helper()
	for _, v := range p.Variants {
		if v.store == "" || !v.common() || v.peer() {
			continue
		}
		p.scoped(tb, func(tb testing.TB) {
			e.redis.reset(tb)
			m := newMeasured(tb, e, v, report.Cell{Name: report.Remembered, Sender: "stripe", Size: kilobyte, Conns: p.Conns})
			m.warmUp(p.Length.WarmUp)
			before := m.held()
			m.taken = 0
			for _, n := range p.Sweep.Remembered {
				m.fill(n-m.taken, crowd)
				now, events := m.held(), float64(m.taken)
				sample := m.run(0, p.Length.Run)
				r := report.Filled{
					Variant: v.Name, Events: n, Throughput: sample.Throughput, CPU: sample.CPU, Resident: sample.Resident,
					Heap: (now.heap - before.heap) / events, Redis: (now.redis - before.redis) / events, Disk: (now.disk - before.disk) / events,
				}
				results.Filled = append(results.Filled, r)
				p.Log("remembered  %+v", r)
			}
		})
	}
}

// held returns the bytes that events take, in memory and on disk.
type held struct{ heap, redis, disk float64 }

func (m *measured) held() held {
	m.tb.Helper()
	h := held{redis: m.env.redis.memory(m.tb)}
	// Asking for a profile of the heap in this way collects garbage first.
	if err := get(m.target.gateway.AdminURL() + "/debug/pprof/heap?gc=1"); err != nil {
		m.tb.Fatalf("collecting the gateway's garbage: %v", err)
	}
	h.heap, _ = m.target.gateway.Metric("go_memstats_heap_alloc_bytes")
	if m.target.dir != "" {
		h.disk = sizeOf(m.tb, m.target.dir)
	}
	return h
}

func sizeOf(tb testing.TB, dir string) float64 {
	tb.Helper()
	var sum int64
	err := fs.WalkDir(os.DirFS(filepath.Dir(dir)), filepath.Base(dir), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		tb.Fatalf("measuring the store's directory: %v", err)
	}
	return float64(sum)
}
