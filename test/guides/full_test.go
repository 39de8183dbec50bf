//go:build full

package guides

const full = true
