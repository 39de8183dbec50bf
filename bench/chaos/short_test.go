//go:build !full

package chaos_test

const defaultTopology = "single"
