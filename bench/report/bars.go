package report

import (
	"fmt"
	"slices"
	"time"
)

// Bars is the table of what was aimed at.
const Bars = "bars"

// bar is one figure that the guard is held to.
type bar struct {
	what    string
	variant string
	over    string // the variant that it is compared with
	at      cellTest
	measure Measure
	least   bool // the value is a lower bound, else an upper one
	value   float64
	added   bool   // a difference in ms, else a ratio
	format  string // of measured values
	// figure is what was measured, where that is not a sample's.
	figure Figure
}

type cellTest = func(Cell) bool

// The cells of bars.
func inMain(c Cell) bool     { return c.Name == Main }
func inSize(kb int) cellTest { return func(c Cell) bool { return c.Name == Sizes && c.Size == kb<<10 } }
func inConns(n int) cellTest {
	return func(c Cell) bool { return c.Name == Connections && c.Conns == n }
}
func atShare(s float64) cellTest {
	return func(c Cell) bool { return c.Name == Latency && c.Share == s && !c.Own }
}

func p99(s Sample) float64 { return float64(s.P99) / float64(time.Millisecond) }

// barsOf are at 1 KB and 16 connections, where they say nothing else.
func barsOf(r *Results) []bar {
	atLeast := func(what, variant, over string, at cellTest, value float64) bar {
		return bar{what: what, variant: variant, over: over, at: at, measure: Throughput, least: true, value: value, format: "%.2f×"}
	}
	cpuAtMost := func(what, variant, over string, at cellTest, value float64) bar {
		return bar{what: what, variant: variant, over: over, at: at, measure: CPU, value: value, format: "%.2f×"}
	}
	addedAtMost := func(what, variant string, value float64) bar {
		return bar{what: what, variant: variant, over: r.Floor, at: atShare(0.25), measure: p99, value: value, added: true, format: "%.2f ms"}
	}
	const nginx, express = "nginx-lua", "express"
	return []bar{
		atLeast("verifying only: throughput", "verify", r.Floor, inMain, 1.05),
		cpuAtMost("verifying only: CPU", "verify", r.Floor, inMain, 0.92),
		atLeast("`memory`: throughput", "memory", r.Floor, inMain, 1),
		atLeast("`redis`: throughput", "redis", r.Floor, inMain, 0.85),
		cpuAtMost("`redis`: CPU", "redis", r.Floor, inMain, 1.15),
		atLeast("`redis`, 128 connections: throughput", "redis", r.Floor, inConns(128), 0.95),
		atLeast("`disk`: throughput", "disk", r.Floor, inMain, 0.80),
		atLeast("duplicates, `memory`: throughput", "duplicates-memory", r.Floor, inMain, 2),
		atLeast("duplicates, `disk`: throughput", "duplicates-disk", r.Floor, inMain, 2),
		atLeast("duplicates, `redis`: throughput", "duplicates-redis", r.Floor, inMain, 2),
		atLeast("forgeries: throughput", "forgeries", r.Floor, inMain, 2),
		addedAtMost("verifying only: p99 added at a quarter of the floor's capacity", "verify", 0.3),
		addedAtMost("`redis`: p99 added at a quarter of the floor's capacity", "redis", 1),
		atLeast("`redis`, against nginx with Lua: throughput", "redis", nginx, inMain, 0.75),
		atLeast("`redis`, against nginx with Lua, 16 KB: throughput", "redis", nginx, inSize(16), 1.2),
		atLeast("`redis`, against nginx with Lua, 256 KB: throughput", "redis", nginx, inSize(256), 4),
		cpuAtMost("`redis`, against Express with ioredis: CPU", "redis", express, inMain, 0.75),
		{
			what: "verifying only, 256 KB, against the floor and one bare HMAC: CPU", variant: "verify", over: r.Floor, at: inSize(256),
			measure: CPU, value: 1.3, format: "%.2f×",
		},
	}
}

// measuredBy is the figure of a bar, or no figure where it was not measured.
func measuredBy(r *Results, b bar) Figure {
	if b.at == nil {
		return b.figure
	}
	i := slices.IndexFunc(r.Samples, func(s Sample) bool { return s.Variant == b.variant && b.at(s.Cell) })
	if i < 0 {
		return Figure{}
	}
	cell, combine := r.Samples[i].Cell, r.Ratio
	switch {
	case b.added:
		combine = r.Difference
	case cell.Size == hashedSize && b.over == r.Floor:
		return r.pair(b.variant, b.over, cell, b.measure, func(guard, floor float64) float64 { return guard / (floor + r.BareHash) })
	}
	return combine(b.variant, b.over, cell, b.measure)
}

// hashedSize is the size of the bodies that BareHash is about.
const hashedSize = 256 << 10

func barsTable(r *Results, bars []bar) string {
	rows := [][]string{{"", "bar", "measured", ""}}
	for _, b := range bars {
		f := measuredBy(r, b)
		if f.N == 0 {
			continue
		}
		bound, met := "≤ ", f.Median <= b.value
		if b.least {
			bound, met = "≥ ", f.Median >= b.value
		}
		verdict := "missed"
		if met {
			verdict = "met"
		}
		rows = append(rows, []string{b.what, bound + fmt.Sprintf(b.format, b.value), f.spread(b.format), verdict})
	}
	if len(rows) == 1 {
		return ""
	}
	return table(rows)
}

// targetOf is where a variant's bar against the floor stands in a cell, or 0: of its
// throughput, which has a lower bound, or of its CPU time.
func targetOf(r *Results, variant string, cell Cell, throughput bool) float64 {
	for _, b := range barsOf(r) {
		if b.variant == variant && b.over == r.Floor && b.at(cell) && b.least == throughput {
			return b.value * r.Of(r.Floor, cell, b.measure).Median
		}
	}
	return 0
}
