package main

import (
	"fmt"
	"math"
	"strings"
)

// What an installation is planned with.
const (
	cpusOfGateway = 4
	busyGateway   = 0.6 // at most, of its CPUs
	busyShard     = 0.5 // at most, of its one thread
	shardMemory   = 32  // GB of a Redis node, at most
	spareMemory   = 1.5 // a node's memory over that of its events: copies on write, buffers
)

var rates = []int{1_000, 10_000, 100_000, 1_000_000}

// size is what one rate takes.
type size struct {
	rate     int
	gateways int // one of them is spare
	forCPU   int // shards that the commands take
	forRoom  int // shards that the memory takes
	gigabyte float64
}

func (s *size) shards() int { return max(s.forCPU, s.forRoom) }

// sizeOf is what a rate takes whose events are remembered for so many hours.
func (f *figures) sizeOf(rate int, hours float64) size {
	perSecond := float64(rate) / 1e6 * f.overhead() // CPUs for each µs of an event
	s := size{rate: rate, gigabyte: float64(rate) * hours * 3600 * f.remembered * spareMemory / 1e9}
	s.gateways = ceil(perSecond*f.gatewayCPU/cpusOfGateway/busyGateway) + 1
	s.forCPU = ceil(perSecond * f.redisCPU / busyShard)
	s.forRoom = ceil(s.gigabyte / shardMemory)
	return s
}

func ceil(x float64) int { return max(1, int(math.Ceil(x))) }

// sizes is the table for all rates.
func (f *figures) sizes() string {
	var b strings.Builder
	b.WriteString("| events/s | remembered | gateways of 4 CPUs, one spare | Redis masters: for the commands | for the memory | memory of all, GB |\n")
	b.WriteString("|---:|---:|---:|---:|---:|---:|\n")
	for _, rate := range rates {
		for _, hours := range []float64{72, 24, 1} {
			s := f.sizeOf(rate, hours)
			fmt.Fprintf(&b, "| %d | %g h | %d | %d | %d | %.1f |\n", rate, hours, s.gateways, s.forCPU, s.forRoom, s.gigabyte)
		}
	}
	return b.String()
}

// costs is the table of what went in.
func (f *figures) costs() string {
	var b strings.Builder
	b.WriteString("| measured | |\n|---|---:|\n")
	for _, row := range []struct {
		what  string
		value float64
		form  string
	}{
		{"CPU of the gateway for an event, µs", f.gatewayCPU, "%.0f"},
		{"CPU of Redis for its claim and commit, µs", f.redisCPU, "%.0f"},
		{"CPU of the app and of the generator, on the same machine, µs", f.appCPU + f.loadCPU, "%.0f"},
		{"events a second on that machine", f.perSecond, "%.0f"},
		{"the machine's CPU time for an event, over what its parts report", f.overhead(), "%.2f"},
		{"bytes of Redis for a remembered event", f.remembered, "%.0f"},
	} {
		fmt.Fprintf(&b, "| %s | "+row.form+" |\n", row.what, row.value)
	}
	return b.String()
}
