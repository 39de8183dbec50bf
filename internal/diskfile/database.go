package diskfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// lockTimeout is how long another process may take to close a database.
const lockTimeout = 2 * time.Second

// BoltOptions are those that etcd runs with: free pages are found when the database is
// opened instead of being written down with every transaction.
func BoltOptions() *bolt.Options {
	return &bolt.Options{Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bolt.FreelistMapType, NoStatistics: true}
}

// MakeDatabase makes a database, which prepare fills. The file gets its name when it is
// complete, so that a crash leaves no half of one behind. Where another process was faster,
// its file stays.
func MakeDatabase(path string, prepare func(*bolt.Tx) error) error {
	dir := filepath.Dir(path)
	unnamed, err := os.CreateTemp(dir, filepath.Base(path)+".new-") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(unnamed.Name()) }()
	if err := unnamed.Close(); err != nil {
		return err
	}
	db, err := bolt.Open(unnamed.Name(), 0o600, BoltOptions())
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(prepare), db.Close()); err != nil {
		return err
	}
	// Unlike Rename, Link never takes the place of what another process has made.
	if err := os.Link(unnamed.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(dir)
}

// OpenDatabase opens a database that is there, which opened gets to see, and locks it for
// this process. Before that, check reads all of it.
func OpenDatabase(path string, opened func(*os.File) error, check func(*bolt.Tx) error) (*bolt.DB, error) {
	info, err := CheckFile(path)
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	if err := verify(path, info.Size(), check); err != nil {
		return nil, err
	}
	options := BoltOptions()
	options.OpenFile = func(path string, flag int, _ fs.FileMode) (*os.File, error) {
		f, err := OpenFile(path, flag)
		if err != nil {
			return nil, err
		}
		if err := opened(f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
	var db *bolt.DB
	err = Guarded(func() (err error) {
		db, err = bolt.Open(path, 0o600, options)
		return err
	})
	if err != nil {
		return nil, err
	}
	return db, nil
}

// CheckFormat refuses a database that says of itself, under a key of a bucket that it may lack,
// that it is of another format. It is whole, so nothing must be moved away: a gateway of the version that wrote it has its events.
func CheckFormat(about *bolt.Bucket, key, format []byte) error {
	if about == nil {
		return nil
	}
	found := about.Get(key)
	if found == nil || bytes.Equal(found, format) {
		return nil
	}
	return Refuse("%s has the format %.20q, of another version of Webhook Guard, and this version has format %q: run the version that wrote it, which finds its events as they were, or begin without them in another directory (store disk <dir>)",
		about.Tx().DB().Path(), found, format)
}

// verify reads the whole of a database that exists. The library does so as well when it
// looks for free pages, but in a goroutine of its own, where a page that makes no sense
// ends the process without saying what to do.
func verify(path string, size int64, check func(*bolt.Tx) error) error {
	options := BoltOptions()
	options.ReadOnly = true
	options.OpenFile = func(path string, flag int, _ fs.FileMode) (*os.File, error) { return OpenFile(path, flag) }
	var db *bolt.DB
	return Guarded(func() (err error) {
		if db, err = bolt.Open(path, 0o600, options); err != nil {
			return err
		}
		return errors.Join(db.View(func(tx *bolt.Tx) error {
			if tx.Size() > size {
				return fmt.Errorf("%w: %d bytes of %d are left", ErrDamaged, size, tx.Size())
			}
			return check(tx)
		}), db.Close())
	})
}
