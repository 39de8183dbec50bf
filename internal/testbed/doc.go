// Package testbed runs real processes for tests and benchmarks: a gateway built
// from this tree, the example apps, and an upstream that records what reaches
// it. Everything listens on the loopback interface and dies with the test.
//
// It needs a Unix system: processes are frozen and ended by signals.
package testbed

import "time"

// waitLimit is how long anything here may take before it counts as stuck. It is far
// longer than needed, since tests run with the race detector on machines that are busy
// with other tests.
const waitLimit = 3 * time.Minute

// pollEvery is the interval at which conditions are polled.
const pollEvery = 5 * time.Millisecond
