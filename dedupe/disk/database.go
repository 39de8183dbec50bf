package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

const (
	databaseName = "events.db"
	// lockTimeout is how long another process may take to close the database.
	lockTimeout = 2 * time.Second

	elsewhere = "use another directory (store disk <dir>), store redis <url> or store memory"
)

// boltOptions are those that etcd runs with: free pages are found when the database is
// opened instead of being written down with every transaction.
func boltOptions() *bolt.Options {
	return &bolt.Options{Timeout: lockTimeout, NoFreelistSync: true, FreelistType: bolt.FreelistMapType, NoStatistics: true}
}

// database has the records that were moved from the log. Its methods turn a panic of the
// library into an error, and name the file in all of them.
type database struct {
	*bolt.DB
	path  string
	clock clock
}

// openDatabase opens the database of the store in dir, and makes both where there is
// nothing of a store.
func openDatabase(dir string, clock clock) (d *directory, db *database, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, databaseName)
	err = makeDir(dir)
	if err == nil {
		if err := checkDirectory(dir); err != nil {
			return nil, nil, err
		}
		err = makeDatabase(dir, path)
	}
	if err != nil {
		return nil, nil, explain(dir, path, err)
	}
	if d, err = openDirectory(dir); err != nil {
		return nil, nil, explain(dir, path, err)
	}
	bolt, err := openBolt(path, func(f *os.File) error { return d.add(path, f, false) })
	if err != nil {
		return nil, nil, errors.Join(explain(dir, path, err), d.close())
	}
	return d, &database{bolt, path, clock}, nil
}

// read looks at what is in the database.
func (d *database) read(look func(records) error) error {
	return d.named(guarded(func() error {
		return d.View(func(tx *bolt.Tx) error { return look(recordsOf(tx, d.clock.now())) })
	}))
}

// write changes what is in the database.
func (d *database) write(change func(records) error) error {
	return d.named(guarded(func() error {
		return d.Update(func(tx *bolt.Tx) error { return change(recordsOf(tx, d.clock.now())) })
	}))
}

// named adds the file to an error.
func (d *database) named(err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", d.path, err)
	}
	return nil
}

// move brings the database up to a batch. Until its last transaction the database still
// says that nothing has been moved, and to repeat those before does no harm.
func (d *database) move(from map[dedupe.Key]finished, upTo uint64) error {
	keys := slices.SortedFunc(maps.Keys(from), compareKeys)
	for {
		some := keys[:min(len(keys), checkpointBatch)]
		keys = keys[len(some):]
		err := d.write(func(r records) error {
			if err := r.put(some, from); err != nil {
				return err
			}
			if len(keys) == 0 {
				if err := r.setMoved(upTo); err != nil {
					return err
				}
			}
			return r.reclaim(max(reclaimBatch, 2*len(some)))
		})
		if err != nil || len(keys) == 0 {
			return err
		}
	}
}

// explain says what to do about a database that does not open.
func explain(dir, path string, err error) error {
	var system *fs.PathError
	switch {
	case errors.As(err, new(refusal)):
		return err
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%s is in use by another process, or by requests of this one from before a reload: %s", dir, elsewhere)
	case errors.As(err, &system):
		return fmt.Errorf("%s: %w: the user that this process runs as must be able to write there; else %s", dir, err, elsewhere)
	}
	return fmt.Errorf("%s: %w: put a copy of the whole directory back, or move it away to begin with an empty one, which has forgotten every event; else %s", path, err, elsewhere)
}

// makeDatabase puts an empty store into dir where it has none. The file gets its name when
// it is complete, so that a crash leaves no half of one behind. Log files without a
// database are no new store. They are looked for first: another process that makes them
// has made the database before.
func makeDatabase(dir, path string) error {
	var left string
	for _, name := range logNames {
		log := filepath.Join(dir, name)
		switch _, err := os.Lstat(log); {
		case err == nil:
			left = log
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if left != "" {
		return refuse("%s is missing, and %s is there: put a copy of the whole directory back, "+
			"or move %s away to begin with an empty one, which has forgotten every event; else %s", path, left, dir, elsewhere)
	}
	unnamed, err := os.CreateTemp(dir, databaseName+".new-") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(unnamed.Name()) }()
	if err := unnamed.Close(); err != nil {
		return err
	}
	db, err := bolt.Open(unnamed.Name(), 0o600, boltOptions())
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(makeBuckets), db.Close()); err != nil {
		return err
	}
	// Unlike Rename, Link never takes the place of what another process has made.
	if err := os.Link(unnamed.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

// makeDir makes a directory and those above it, so that they are still there after a
// power failure.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openBolt opens the database of a store, which opened gets to see.
func openBolt(path string, opened func(*os.File) error) (*bolt.DB, error) {
	info, err := checkFile(path)
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return nil, fmt.Errorf("%w: it is empty", errDamaged)
	}
	if err := verify(path, info.Size()); err != nil {
		return nil, err
	}
	options := boltOptions()
	options.OpenFile = func(path string, flag int, _ fs.FileMode) (*os.File, error) {
		f, err := openFile(path, flag)
		if err != nil {
			return nil, err
		}
		if err := opened(f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return f, nil
	}
	var db *bolt.DB
	err = guarded(func() (err error) {
		db, err = bolt.Open(path, 0o600, options)
		return err
	})
	if err != nil {
		return nil, err
	}
	return db, nil
}

// refusal is an error that says what to do already.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

// verify reads the whole of a database that exists. The library does so as well when it
// looks for free pages, but in a goroutine of its own, where a page that makes no sense
// ends the process without saying what to do.
func verify(path string, size int64) error {
	options := boltOptions()
	options.ReadOnly = true
	options.OpenFile = func(path string, flag int, _ fs.FileMode) (*os.File, error) { return openFile(path, flag) }
	var db *bolt.DB
	return guarded(func() (err error) {
		if db, err = bolt.Open(path, 0o600, options); err != nil {
			return err
		}
		return errors.Join(db.View(func(tx *bolt.Tx) error {
			if tx.Size() > size {
				return fmt.Errorf("%w: %d bytes of %d are left", errDamaged, size, tx.Size())
			}
			return verifyBuckets(tx)
		}), db.Close())
	})
}

// guarded turns two things into an error: a panic of the library, which it raises for
// pages that make no sense, and a fault of the mapped file, which a disk that cannot be
// read raises. Neither may end the process, and with it every other site.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errDamaged, r)
		}
	}()
	return do()
}
