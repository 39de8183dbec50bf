//go:build !race

package caddymodule

// spoilFreed makes freed buffers unlike any body, where races are looked for.
const spoilFreed = false
