//go:build !linux

package diskfile

import "os"

// Synced is a file that is synced as a whole, where there is no call for less.
type Synced struct{ *os.File }

// SyncData returns when what was written is on the disk.
func (f Synced) SyncData() error { return f.Sync() }
