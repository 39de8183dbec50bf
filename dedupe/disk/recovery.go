package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// logNames are the names of the log files, beside the database. They are part of format 1.
var logNames = [2]string{"journal-a", "journal-b"}

// openWAL opens the log beside the database, and makes it where there is none yet. Batches
// that the database lacks are left to the checkpointer, as flushing. The database is
// locked, so no other process touches the files.
func openWAL(dir string, cp *checkpointer, o Options) (*wal, error) {
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
	known := false
	err := cp.read(func(r records) error {
		cp.done, known = r.moved()
		return nil
	})
	if err != nil {
		return explain(w.dir, cp.path, err)
	}
	runs, missing, err := w.openFiles(cp.done, o)
	switch {
	case err != nil:
		return err
	case len(runs) > 0 && missing != "": // both are there before anything is written to one
		return explainLog(missing, errors.New("the file is missing, and the other journal is in use"))
	case len(runs) > 0:
		if !known { // a database that was begun anew, beside log files that were left
			cp.done = runs[0][0].number - 1
		}
		w.files[0].at = w.files[0].size // nothing is written before all of it is moved
		w.next, err = cp.replay(w.dir, runs)
		return err
	}
	w.next = cp.done + 1
	if !known {
		// From now on a log file that lacks its beginning is noticed.
		if err := cp.run(nil, 0); err != nil {
			return explain(w.dir, cp.path, err)
		}
	}
	return w.makeFiles(cp.done, o)
}

// openFiles opens the log files that are there. It returns the batches of each file that
// has some to move, by their numbers, and the path of a file that is missing.
func (w *wal) openFiles(done uint64, o Options) (runs [][]batch, missing string, err error) {
	for i, name := range logNames {
		path := filepath.Join(w.dir, name)
		f, run, err := openSegment(path, done, o)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = path
			continue
		case err != nil:
			return nil, "", explainLog(path, err)
		}
		w.files[i] = f
		if len(run) > 0 && run[len(run)-1].number > done {
			runs = append(runs, run)
		}
	}
	slices.SortFunc(runs, func(a, b []batch) int { return cmp.Compare(a[0].number, b[0].number) })
	return runs, missing, nil
}

// makeFiles makes the log files that are missing.
func (w *wal) makeFiles(done uint64, o Options) error {
	made := false
	for i, name := range logNames {
		if w.files[i] != nil {
			continue
		}
		path := filepath.Join(w.dir, name)
		if err := makeSegment(path, o.logSize); err != nil {
			return explainLog(path, err)
		}
		var err error
		if w.files[i], _, err = openSegment(path, done, o); err != nil {
			return explainLog(path, err)
		}
		made = true
	}
	if !made {
		return nil
	}
	return syncDir(w.dir)
}

// replay makes known what the log holds, and returns the number of the next batch. The
// file with lower numbers comes first, and no number may be missing, from the last batch
// in the database to the end.
func (c *checkpointer) replay(dir string, runs [][]batch) (next uint64, err error) {
	next = c.done + 1
	c.flushing = make(map[dedupe.Key]finished)
	for _, run := range runs {
		// A batch may be there twice: the first file did not take it, as far as any caller
		// was told, and so it was written to the other.
		if first := run[0].number; first > next {
			return 0, explainLog(dir, fmt.Errorf("%w: batches %d to %d are neither in %s nor in a journal",
				errDamaged, next, first-1, databaseName))
		}
		err := c.read(func(r records) error {
			for _, b := range run {
				if b.number <= c.done {
					continue
				}
				r.now = b.time
				for _, ch := range b.changes {
					if err := c.apply(c.flushing, r, ch); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return 0, explain(dir, c.path, err)
		}
		next = run[len(run)-1].number + 1
	}
	c.target = next - 1
	return next, nil
}

// openSegment opens a log file that is there, and reads it.
func openSegment(path string, done uint64, o Options) (*segment, []batch, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	s := &segment{file: syncedFile{f}, at: logStart}
	if o.wrapLog != nil {
		s.file = o.wrapLog(s.file)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, errors.Join(err, s.file.Close())
	}
	run, err := readLog(data, done)
	if err == nil && len(run) > 0 {
		// What was read may be on its way to the disk only, and is relied on from now on.
		err = s.file.SyncData()
	}
	if err != nil {
		return nil, nil, errors.Join(err, s.file.Close())
	}
	s.size = int64(len(data))
	return s, run, nil
}

// makeSegment makes an empty log file. It is written in full, so that later syncs find
// nothing to write but the data, and gets its name when it is complete.
func makeSegment(path string, size int64) error {
	unnamed := path + ".new"
	f, err := os.OpenFile(unnamed, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(unnamed) }()
	whole := append(logPage(size), make([]byte, size-logStart)...)
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
	if errors.As(err, &system) {
		return fmt.Errorf("%w: the user that this process runs as must be able to write there, and find room; else %s", err, elsewhere)
	}
	return fmt.Errorf("%s: %w: put a copy of the whole directory back, or move %s and %s away, which forgets the newest events; else %s",
		path, err, logNames[0], logNames[1], elsewhere)
}
