//go:build !full

package chaos_test

import "time"

const (
	defaultTopology = "single,inbox-single,inbox-disk"
	defaultDuration = 25 * time.Second
)
