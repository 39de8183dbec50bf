//go:build linux

// Package compare runs the same traffic through a plain Caddy, through the guard in
// its variants and through its peers, in turn, and records the cost of each.
//
// A shared machine is never quiet, so nothing is compared across time: every round
// runs each variant once, in an order of its own, and the figures that count are
// ratios to the floor within a round. Each run has a process of its own, just
// started, with an empty store.
package compare
