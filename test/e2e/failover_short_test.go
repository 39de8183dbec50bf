//go:build !full

package e2e

// failovers is how often a master fails, and failoverOutages how, for each kind of Redis.
const failovers = 1

var failoverOutages = map[string][]string{"sentinel": {"frozen"}, "cluster": {"stopped"}}
