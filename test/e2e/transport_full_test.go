//go:build full

package e2e

const edgeEvents = 300
