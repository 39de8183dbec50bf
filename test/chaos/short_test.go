//go:build !full

package chaos_test

import "time"

const (
	defaultTopology = "single"
	defaultDuration = 25 * time.Second
)
