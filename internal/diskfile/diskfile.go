// Package diskfile is what the stores on a disk have in common: how they make, check, open and
// sync their files, and how they open a bbolt database.
package diskfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
)

// Elsewhere is what to do where a directory cannot be used.
const Elsewhere = "use another directory (store disk <dir>), store redis <url> or store memory"

// ErrDamaged is wrapped by errors about contents that make no sense.
var ErrDamaged = errors.New("the file is damaged")

// MakeDir makes a directory and those above it, so that they are still there after a
// power failure.
func MakeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MakeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

// SyncDir returns when the names in a directory are on the disk.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Refusal is an error that says what to do already.
type Refusal struct{ error }

func (r Refusal) Unwrap() error { return r.error }

// Refuse returns a Refusal.
func Refuse(format string, args ...any) error { return Refusal{fmt.Errorf(format, args...)} }

// Guarded turns two things into an error: a panic of the library, which it raises for
// pages that make no sense, and a fault of the mapped file, which a disk that cannot be
// read raises. Neither may end the process, and with it every other site.
func Guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return do()
}
