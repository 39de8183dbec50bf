//go:build !full

package webhook

// oneIn is how many of the variants of one request, and of the pairs of events, are tried:
// each in `make test-full`.
const oneIn = 11

// twice is how many of the accepted variants are changed once more.
const twice = 0
