//go:build full

package webhook

const oneIn = 1
