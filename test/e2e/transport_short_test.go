//go:build !full

package e2e

// edgeEvents is how many events meet the app's idle time-out; make test-full sends 300.
const edgeEvents = 31
