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
	// Of an inbox:
	inboxes      int     // with as many lanes as there are masters
	awayGigabyte float64 // for each hour that the app is away
	concurrency  int     // of a gateway
}

// sizeOf is what a rate takes whose events are remembered for so many hours.
func (f *figures) sizeOf(rate int, hours float64) size {
	perSecond := float64(rate) / 1e6 * f.overhead() // CPUs for each µs of an event
	s := size{rate: rate, gigabyte: float64(rate) * hours * 3600 * f.remembered * spareMemory / 1e9}
	s.gateways = ceil(perSecond*f.gatewayCPU/cpusOfGateway/busyGateway) + 1
	s.forCPU = ceil(perSecond * f.redisCPU / busyShard)
	s.forRoom = ceil(s.gigabyte / shardMemory)
	return s
}

// What an inbox is planned with.
const (
	keepHours     = 24 // how long finished events are listed
	rememberHours = 72
	appSeconds    = 20e-3 // for an event
)

// inboxSizeOf is what a rate takes whose events all go through inboxes.
func (f *figures) inboxSizeOf(rate int) size {
	i, perSecond := &f.inbox, float64(rate)/1e6*f.overhead()
	perHour := float64(rate) * 3600 * spareMemory / 1e9
	s := size{rate: rate, gigabyte: perHour * f.keptBytes(keepHours), awayGigabyte: perHour * (i.waiting - i.finished)}
	s.gateways = ceil(perSecond*(i.acceptCPU+i.deliverCPU)/cpusOfGateway/busyGateway) + 1
	s.forCPU = ceil(perSecond * (i.claimCPU + i.putCPU + i.takeCPU) / busyShard)
	s.forRoom = ceil(s.gigabyte / shardMemory)
	s.inboxes = ceil(float64(max(s.forCPU, s.forRoom)) / lanes)
	// The busiest shard has more lanes than others.
	for of := slotsOf(s.inboxes); ; s.forCPU++ {
		share := float64(mostOn(of, s.forCPU)) / float64(len(of))
		if perSecond*(i.claimCPU/float64(s.forCPU)+(i.putCPU+i.takeCPU)*share) <= busyShard {
			break
		}
	}
	s.concurrency = ceil(float64(rate) * appSeconds / float64(s.gateways-1) / busyGateway)
	return s
}

// keptBytes is what the events of an hour come to, for each, that are listed for so many hours. The
// bytes of a listed event are all that there is of it, what is remembered too.
func (f *figures) keptBytes(hours float64) float64 {
	return f.inbox.finished*hours + f.remembered*(rememberHours-hours)
}

// inboxSizes is the table for all rates.
func (f *figures) inboxSizes() string {
	i := &f.inbox
	var b strings.Builder
	fmt.Fprintf(&b, "an event takes %.0f µs of a gateway until it is accepted and %.0f µs after that, and of Redis %.0f µs for claim and commit,\n"+
		"%.0f µs for the put and %.0f µs for take and settlement. It has %.0f bytes in Redis while it waits, and %.0f when it is finished.\n"+
		"With `keep 1h` the memory is %.0f%% of what follows.\n\n",
		i.acceptCPU, i.deliverCPU, i.claimCPU, i.putCPU, i.takeCPU, i.waiting, i.finished, 100*f.keptBytes(1)/f.keptBytes(keepHours))
	b.WriteString("| events/s | gateways of 4 CPUs, one spare | `concurrency` | inboxes, at least | Redis masters: for the commands | for the memory | memory of all, GB | more for each hour without the app, GB |\n")
	b.WriteString("|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, rate := range rates {
		s := f.inboxSizeOf(rate)
		fmt.Fprintf(&b, "| %d | %d | %d | %d | %d | %d | %.1f | %.1f |\n", rate, s.gateways, s.concurrency, s.inboxes, s.forCPU, s.forRoom, s.gigabyte, s.awayGigabyte)
	}
	return b.String()
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
		{"bytes of disk for one, with `store disk`", f.inFiles, "%.0f"},
		{"CPU of Redis for an event with two keys, over that", f.twoKeysCPU, "%.2f"},
		{"bytes of Redis for it, over those", f.twoKeys, "%.2f"},
	} {
		fmt.Fprintf(&b, "| %s | "+row.form+" |\n", row.what, row.value)
	}
	return b.String()
}
