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

// The journals stand beside the file that they are moved into.
var journalNames = [2]string{"journal-a", "journal-b"}

// openJournals opens the two journals, and makes them where there are none yet. What
// they hold and the file lacks is left to the mover, and known from now on. It is called
// with the file's lock held.
func (d *Store) openJournals(o Options) error {
	known := false
	err := d.read(func(r records) error {
		d.moved, known = r.moved()
		return nil
	})
	if err != nil {
		return explain(d.dir, d.path, err)
	}
	if o.journalSize == 0 {
		o.journalSize = journalSize
	}
	var runs [][]batch // of the journals that have something to move
	var missing string
	for i, name := range journalNames {
		path := filepath.Join(d.dir, name)
		j, run, err := openJournal(path, d.moved, o)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = path
			continue
		case err != nil:
			return explainJournal(path, err)
		}
		d.journals[i] = j
		if len(run) > 0 && run[len(run)-1].number > d.moved {
			runs = append(runs, run)
		}
	}
	slices.SortFunc(runs, func(a, b []batch) int { return cmp.Compare(a[0].number, b[0].number) })
	if len(runs) > 0 {
		if missing != "" { // both are there before anything is written to one
			return explainJournal(missing, errors.New("the file is missing, and the other journal is in use"))
		}
		if !known { // a file that was begun anew, beside journals that were left
			d.moved = runs[0][0].number - 1
		}
		d.journals[0].at = d.journals[0].size // nothing is written before all of it is moved
		return d.replay(runs)
	}
	d.number = d.moved + 1
	if !known {
		// From now on a journal that lacks its beginning is seen.
		if err := d.move(nil, 0); err != nil {
			return explain(d.dir, d.path, err)
		}
	}
	return d.makeJournals(o)
}

// makeJournals makes those that are missing.
func (d *Store) makeJournals(o Options) error {
	made := false
	for i, name := range journalNames {
		if d.journals[i] != nil {
			continue
		}
		path := filepath.Join(d.dir, name)
		if err := makeJournal(path, o.journalSize); err != nil {
			return explainJournal(path, err)
		}
		var err error
		if d.journals[i], _, err = openJournal(path, d.moved, o); err != nil {
			return explainJournal(path, err)
		}
		made = true
	}
	if !made {
		return nil
	}
	return syncDir(d.dir)
}

// replay makes known what the journals hold. The one with lower numbers comes first, and
// no number may be missing, from what has been moved to the end.
func (d *Store) replay(runs [][]batch) error {
	d.number = d.moved + 1
	d.moving = make(map[dedupe.Key]finished)
	for _, run := range runs {
		// One may be there twice: not taken by the first journal, as far as anybody was
		// told, and then written to the other.
		if first := run[0].number; first > d.number {
			return explainJournal(d.dir, fmt.Errorf("%w: batches %d to %d are neither in %s nor in a journal",
				errDamaged, d.number, first-1, fileName))
		}
		err := d.read(func(r records) error {
			for _, b := range run {
				if b.number <= d.moved {
					continue
				}
				r.now = b.time
				for _, c := range b.changes {
					if err := d.apply(d.moving, r, c); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return explain(d.dir, d.path, err)
		}
		d.number = run[len(run)-1].number + 1
	}
	d.moveTo = d.number - 1
	return nil
}

// openJournal opens a journal that is there, and reads it.
func openJournal(path string, moved uint64, o Options) (*journal, []batch, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	j := &journal{path: path, file: syncedFile{f}, at: journalStart}
	if o.wrapJournal != nil {
		j.file = o.wrapJournal(j.file)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, errors.Join(err, j.file.Close())
	}
	run, err := readJournal(data, moved)
	if err == nil && len(run) > 0 {
		// What was read may be on its way to the disk only, and is relied on from now on.
		err = j.file.SyncData()
	}
	if err != nil {
		return nil, nil, errors.Join(err, j.file.Close())
	}
	j.size = int64(len(data))
	return j, run, nil
}

// makeJournal makes an empty journal. It is written in full, so that later syncs find
// nothing to write but the data, and gets its name when it is complete.
func makeJournal(path string, size int64) error {
	unnamed := path + ".new"
	f, err := os.OpenFile(unnamed, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(unnamed) }()
	whole := append(journalPage(size), make([]byte, size-journalStart)...)
	if _, err := f.Write(whole); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(unnamed, path)
}

// explainJournal says what to do about journals that do not open.
func explainJournal(path string, err error) error {
	var system *fs.PathError
	if errors.As(err, &system) {
		return fmt.Errorf("%w: the user that this process runs as must be able to write there, and find room; else %s", err, elsewhere)
	}
	return fmt.Errorf("%s: %w: put a copy of the whole directory back, or move %s and %s away, which forgets the newest events; else %s",
		path, err, journalNames[0], journalNames[1], elsewhere)
}
