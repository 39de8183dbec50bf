//go:build race

package caddymodule

const spoilFreed = true
