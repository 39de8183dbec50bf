//go:build !race

package body

// spoilFreed makes freed buffers unlike any body, where races are looked for.
const spoilFreed = false
