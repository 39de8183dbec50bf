//go:build full

package inboxes

// dayHours is how long the app is away, by the injected clock.
const dayHours = 24
