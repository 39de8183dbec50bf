//go:build full

package chaos_test

import "time"

// Long enough for each kind of fault to occur.
const (
	defaultTopology = "all"
	defaultDuration = 45 * time.Second
)
