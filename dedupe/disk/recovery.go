package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile"
)

// logNames are the names of the log files, beside the database. They are part of format 1.
var logNames = [2]string{"journal-a", "journal-b"}

// giveUpName is the name of a file by which a user gives up the log files: their damage,
// or their loss, is no reason any more to refuse the store. It goes once that is done.
const giveUpName = "give-up-journals"

// openWAL opens the log beside the database, and makes it for a new one. Batches that the
// database lacks are left to the checkpointer, as flushing. The database is locked, so no
// other process touches the files.
func openWAL(dir *diskfile.Directory, cp *checkpointer, o Options) (*wal, error) {
	if o.logSize == 0 {
		o.logSize = logSize
	}
	w := &wal{dir: dir}
	if err := w.recover(cp, o); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *wal) recover(cp *checkpointer, o Options) error {
	var from origin
	err := cp.db.read(func(r records) error {
		from = r.origin()
		return nil
	})
	if err != nil {
		return explain(w.dir.Path, cp.db.path, err)
	}
	givenUp, err := w.giveUp()
	if err != nil {
		return explainLog(w.dir.Path, err)
	}
	cp.done = from.moved
	runs, missing, err := w.openFiles(from, o)
	switch {
	case err != nil:
		return err
	case len(runs) > 0 && !from.begun:
		return explainLog(w.dir.Path, fmt.Errorf("a journal has events, and %s is new", databaseName))
	case missing != "" && from.begun && !from.closed && !givenUp,
		len(runs) > 0 && missing != "": // both are there before anything is written to one
		return explainLog(missing, errors.New("the file is missing, and may have had events that nothing else has"))
	case len(runs) > 0:
		w.files[0].at = w.files[0].size // nothing is written before all of it is moved
		if w.next, err = cp.replay(w.dir.Path, runs); err != nil {
			return err
		}
	default:
		w.next = cp.done + 1
	}
	if from.store == (storeID{}) {
		from.store = newStoreID()
		if err := w.mark(from.store); err != nil {
			return err
		}
	}
	if err := w.makeFiles(from, o); err != nil {
		return err
	}
	// From now on it is noticed where a log file is missing.
	if err := cp.db.write(func(r records) error { return r.setOpen(from) }); err != nil {
		return explain(w.dir.Path, cp.db.path, err)
	}
	if givenUp {
		err := errors.Join(os.Remove(filepath.Join(w.dir.Path, giveUpName)), diskfile.SyncDir(w.dir.Path))
		if err != nil {
			return explainLog(w.dir.Path, err)
		}
	}
	return nil
}

// giveUp moves the log files out of the way, if the user has asked for it.
func (w *wal) giveUp() (asked bool, err error) {
	if _, err := os.Lstat(filepath.Join(w.dir.Path, giveUpName)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return false, err
	}
	for _, name := range logNames {
		path := filepath.Join(w.dir.Path, name)
		if err := os.Rename(path, path+".given-up"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return true, nil
}

// openFiles opens the log files that are there. It returns the batches of each file that
// has some to move, by their numbers, and the path of a file that is missing.
func (w *wal) openFiles(from origin, o Options) (runs [][]batch, missing string, err error) {
	for i, name := range logNames {
		path := filepath.Join(w.dir.Path, name)
		f, run, err := w.openSegment(path, from, o)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = path
			continue
		case err != nil:
			return nil, "", explainLog(path, err)
		}
		w.files[i] = f
		if len(run) > 0 && run[len(run)-1].number > from.moved {
			runs = append(runs, run)
		}
	}
	slices.SortFunc(runs, func(a, b []batch) int { return cmp.Compare(a[0].number, b[0].number) })
	return runs, missing, nil
}

// mark makes the log files that an earlier version made part of this store.
func (w *wal) mark(store storeID) error {
	for i, f := range w.files {
		if f == nil {
			continue
		}
		_, err := f.file.WriteAt(store[:], int64(storeAt))
		if err == nil {
			err = f.file.SyncData()
		}
		if err != nil {
			return explainLog(filepath.Join(w.dir.Path, logNames[i]), err)
		}
	}
	return nil
}

// makeFiles makes the log files that are missing.
func (w *wal) makeFiles(from origin, o Options) error {
	made := false
	for i, name := range logNames {
		if w.files[i] != nil {
			continue
		}
		path := filepath.Join(w.dir.Path, name)
		if err := makeSegment(path, o.logSize, from.store); err != nil {
			return explainLog(path, err)
		}
		var err error
		if w.files[i], _, err = w.openSegment(path, from, o); err != nil {
			return explainLog(path, err)
		}
		made = true
	}
	if !made {
		return nil
	}
	return diskfile.SyncDir(w.dir.Path)
}

// replay makes known what the log holds, and returns the number of the next batch. The
// file with lower numbers comes first, and no number may be missing, from the last batch
// in the database to the end.
func (c *checkpointer) replay(dir string, runs [][]batch) (next uint64, err error) {
	next = c.done + 1
	c.flushing = make(map[dedupe.Key]finished)
	moving := draft{c.flushing, c}
	for _, run := range runs {
		// A batch may be there twice: the first file did not take it, as far as any caller
		// was told, and so it was written to the other.
		if first := run[0].number; first > next {
			return 0, explainLog(dir, fmt.Errorf("%w: batches %d to %d are neither in %s nor in a journal",
				diskfile.ErrDamaged, next, first-1, databaseName))
		}
		err := c.db.read(func(r records) error {
			for _, b := range run {
				if b.number <= c.done {
					continue
				}
				r.now = b.time
				for _, ch := range b.changes {
					if err := moving.apply(r, ch); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return 0, explain(dir, c.db.path, err)
		}
		next = run[len(run)-1].number + 1
	}
	c.target = next - 1
	return next, nil
}

// openSegment opens a log file that is there, and reads it.
func (w *wal) openSegment(path string, from origin, o Options) (*segment, []batch, error) {
	f, err := diskfile.OpenFile(path, os.O_RDWR)
	if err != nil {
		return nil, nil, err
	}
	s := &segment{file: diskfile.Synced{File: f}, at: logStart}
	if o.wrapLog != nil {
		s.file = o.wrapLog(s.file)
	}
	data, err := io.ReadAll(f)
	var run []batch
	if err == nil {
		run, err = readLog(data, from.moved)
	}
	if err == nil && from.store != (storeID{}) && from.store != storeID(data[storeAt:]) {
		err = errors.New("the journal is another store's")
	}
	if err == nil && len(run) > 0 {
		// What was read may be on its way to the disk only, and is relied on from now on.
		err = s.file.SyncData()
	}
	if err == nil {
		err = w.dir.Add(path, f, true)
	}
	if err != nil {
		return nil, nil, errors.Join(err, s.file.Close())
	}
	s.size = int64(len(data))
	return s, run, nil
}

// makeSegment makes an empty log file. It is written in full, so that later syncs find
// nothing to write but the data, and gets its name when it is complete.
func makeSegment(path string, size int64, store storeID) error {
	unnamed := path + ".new"
	if err := os.Remove(unnamed); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a crash
		return err
	}
	f, err := os.OpenFile(unnamed, os.O_CREATE|os.O_EXCL|os.O_WRONLY|diskfile.NoFollow, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(unnamed) }()
	whole := append(logPage(size, store), make([]byte, size-logStart)...)
	if _, err := f.Write(whole); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(unnamed, path)
}

// explainLog says what to do about log files that do not open.
func explainLog(path string, err error) error {
	var system *fs.PathError
	switch {
	case errors.As(err, new(diskfile.Refusal)):
		return err
	case errors.As(err, &system):
		return fmt.Errorf("%w: the user that this process runs as must be able to write there, and find room; else %s", err, diskfile.Elsewhere)
	}
	return fmt.Errorf("%s: %w: put a copy of the whole directory back; or make an empty file %s beside %s, which gives up %s and %s and forgets the newest events; else %s",
		path, err, giveUpName, databaseName, logNames[0], logNames[1], diskfile.Elsewhere)
}
