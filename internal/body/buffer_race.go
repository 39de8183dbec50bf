//go:build race

package body

const spoilFreed = true
