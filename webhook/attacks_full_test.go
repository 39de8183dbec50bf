//go:build full

package webhook

const (
	oneIn = 1
	twice = 3
)
