//go:build !full

package inboxes

// dayHours is how long the app is away, by the injected clock: a day in `make test-full`.
const dayHours = 5
