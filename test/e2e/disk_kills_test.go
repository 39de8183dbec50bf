//go:build !full

package e2e

// diskKills is how often the gateway is killed; make test-full does it 200 times.
const diskKills = 15
