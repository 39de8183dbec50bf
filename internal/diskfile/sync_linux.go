package diskfile

import (
	"errors"
	"os"
	"syscall"
)

// Synced is a file of which only the data is synced: its size never changes.
type Synced struct{ *os.File }

// SyncData returns when what was written is on the disk.
func (f Synced) SyncData() error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for {
			if failed = syscall.Fdatasync(int(fd)); !errors.Is(failed, syscall.EINTR) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if failed != nil {
		return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: failed}
	}
	return nil
}
