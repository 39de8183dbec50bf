//go:build !full

package interop

// makeDeps installs what these tests need.
const makeDeps = "make deps"

var sdkArgs []string

var rows = smallRows
