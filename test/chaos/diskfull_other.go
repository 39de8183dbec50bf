//go:build !linux

package chaos

// fullDisks: only Linux bounds the files of another process.
func (w *world) fullDisks() []faultKind { return nil }
