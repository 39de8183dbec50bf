//go:build !full

package chaos_test

import "time"

const (
	defaultTopology = "single,inbox-single"
	defaultDuration = 20 * time.Second
)
