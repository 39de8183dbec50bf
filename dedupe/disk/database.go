package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile"
)

const (
	databaseName = "events.db"
)

// database has the records that were moved from the log. Its methods turn a panic of the
// library into an error, and name the file in all of them.
type database struct {
	*bolt.DB
	path  string
	clock clock
}

// openDatabase opens the database of the store in dir, and makes both where there is
// nothing of a store.
func openDatabase(dir string, clock clock) (d *diskfile.Directory, db *database, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, databaseName)
	err = diskfile.MakeDir(dir)
	if err == nil {
		if err := diskfile.CheckDirectory(dir); err != nil {
			return nil, nil, err
		}
		err = makeDatabase(dir, path)
	}
	if err != nil {
		return nil, nil, explain(dir, path, err)
	}
	if d, err = diskfile.OpenDirectory(dir); err != nil {
		return nil, nil, explain(dir, path, err)
	}
	bolt, err := diskfile.OpenDatabase(path, func(f *os.File) error { return d.Add(path, f, false) }, verifyBuckets)
	if err != nil {
		return nil, nil, errors.Join(explain(dir, path, err), d.Close())
	}
	return d, &database{bolt, path, clock}, nil
}

// read looks at what is in the database.
func (d *database) read(look func(records) error) error {
	return d.named(diskfile.Guarded(func() error {
		return d.View(func(tx *bolt.Tx) error { return look(recordsOf(tx, d.clock.now())) })
	}))
}

// write changes what is in the database.
func (d *database) write(change func(records) error) error {
	return d.named(diskfile.Guarded(func() error {
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
	case errors.As(err, new(diskfile.Refusal)):
		return err
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%s is in use by another process, or by requests of this one from before a reload: %s", dir, diskfile.Elsewhere)
	case errors.As(err, &system):
		return fmt.Errorf("%s: %w: the user that this process runs as must be able to write there; else %s", dir, err, diskfile.Elsewhere)
	}
	return fmt.Errorf("%s: %w: put a copy of the whole directory back, or move it away to begin with an empty one, which has forgotten every event; else %s", path, err, diskfile.Elsewhere)
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
		return diskfile.Refuse("%s is missing, and %s is there: put a copy of the whole directory back, "+
			"or move %s away to begin with an empty one, which has forgotten every event; else %s", path, left, dir, diskfile.Elsewhere)
	}
	return diskfile.MakeDatabase(path, makeBuckets)
}
