//go:build !race

// The race detector empties pools at random, so `make test` runs this file once
// without it.

package signature

import "testing"

// TestVerifyAllocations checks that a verification takes its memory from pools and from
// the stack, whatever the size of a body, which senders choose.
func TestVerifyAllocations(t *testing.T) {
	for _, c := range benchCases(t) {
		for _, size := range benchSizes {
			r, secrets, now := c.request(t, make([]byte, size))
			allocs := testing.AllocsPerRun(50, func() {
				if _, err := c.scheme.Verify(r, secrets, vectorWindow, now); err != nil {
					t.Fatal(err)
				}
			})
			if allocs > 0 {
				t.Errorf("%s with %d bytes: %v allocations", c.name, size, allocs)
			}
		}
	}
}
