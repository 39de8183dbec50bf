//go:build full

package interop

import "slices"

// makeDeps installs what these tests need.
const makeDeps = "make deps-full"

var sdkArgs = []string{"full"}

var rows = slices.Concat(smallRows, fullRows)
