//go:build linux

// Package load sends prepared requests to a server and measures its answers.
//
// It is a generator of its own because no existing one fits:
// wrk and its kind repeat one request, or run a script for each, but every event
// of a guard must be new and signed, and the latency must be counted from the time
// at which a request was meant to start. It shares the machine with what it
// measures, so it is one thread around epoll that writes bytes made beforehand and
// reads no more of an answer than its status, the guard's header and its length.
package load

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Request is one request as it travels. Many requests may share one Tail.
type Request struct {
	Head, Tail []byte
}

// Want is the answer that a request is meant to get.
type Want struct {
	Status int
	Guard  string // the Webhook-Guard header; empty is none
}

// Config is one run.
type Config struct {
	Addr string // IPv4 host:port
	// Conns is how many connections there are. A closed loop opens them before the run,
	// an open loop each when a request finds none free: some servers keep a thread
	// waiting on an idle connection.
	Conns int
	// Requests are sent in turn, each once; with Cycle, over and over.
	Requests []Request
	Cycle    bool
	// Duration bounds the time in which requests are started. Default: until all
	// have been sent.
	Duration time.Duration
	// Rate, in requests per second, makes the loop open: requests start at fixed
	// times, whether or not earlier ones have their answers. Default: each
	// connection starts its next request when it has its answer.
	Rate float64
	Want Want
}

// Result holds the figures of a run.
type Result struct {
	// Done counts the answers that were as wanted, Wrong all others by what they
	// were, and requests that got none.
	Done  int
	Wrong map[string]int
	// InTime counts the answers, as wanted, until Elapsed was over; what was still
	// under way then is in Done only.
	InTime  int
	Elapsed time.Duration
	// Unsent counts the requests of an open loop that were due and found no free
	// connection to the end.
	Unsent int
	// Latencies, in order of size, of all answers that were as wanted: in an open
	// loop since the time at which the request was meant to start, which corrects
	// for coordinated omission.
	Latencies []time.Duration
	// CPU is the generator's own.
	CPU time.Duration
}

// Throughput is the answers per second.
func (r Result) Throughput() float64 { return float64(r.InTime) / r.Elapsed.Seconds() }

// Failures counts what did not go as wanted.
func (r Result) Failures() int {
	n := r.Unsent
	for _, count := range r.Wrong {
		n += count
	}
	return n
}

// Quantile returns the latency that the share q of the answers did not exceed.
func (r Result) Quantile(q float64) time.Duration {
	if len(r.Latencies) == 0 {
		return 0
	}
	i := int(q*float64(len(r.Latencies)) + 0.999999)
	return r.Latencies[min(max(i, 1), len(r.Latencies))-1]
}

// grace is how long a run waits for what is under way at its end. Tests wait longer, as they
// may share their machine.
var grace = 10 * time.Second

// Run performs a run, and closes its connections.
func Run(c Config) (Result, error) {
	if len(c.Requests) == 0 || c.Conns < 1 {
		return Result{}, errors.New("load: a run needs requests and connections")
	}
	if (c.Rate > 0 || c.Cycle) && c.Duration <= 0 {
		return Result{}, errors.New("load: an open loop, and one that cycles, needs a duration")
	}
	if need := int(c.Rate * c.Duration.Seconds()); !c.Cycle && need > len(c.Requests) {
		return Result{}, fmt.Errorf("load: the run would send %d requests and has %d", need, len(c.Requests))
	}
	runtime.LockOSThread() // so that the CPU time counted is the generator's
	defer runtime.UnlockOSThread()
	l, err := newLoop(c)
	if err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	defer l.close()
	cpu := threadCPU()
	if err := l.run(); err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	l.result.CPU = threadCPU() - cpu
	slices.Sort(l.result.Latencies)
	return l.result, nil
}

func threadCPU() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
