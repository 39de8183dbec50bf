//go:build !full

package guides

// full is whether pages are followed that need what only make test-full installs.
const full = false
