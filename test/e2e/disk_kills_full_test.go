//go:build full

package e2e

const diskKills = 200
