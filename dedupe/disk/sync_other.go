//go:build !linux

package disk

import "os"

// syncedFile is a file that is synced as a whole, where there is no call for less.
type syncedFile struct{ *os.File }

// SyncData implements logFile.
func (f syncedFile) SyncData() error { return f.Sync() }
