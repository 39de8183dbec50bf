//go:build !linux

package chaos

// fullDisks: only Linux bounds the files of another process.
func (w inboxFaults) fullDisks() []faultKind { return nil }
