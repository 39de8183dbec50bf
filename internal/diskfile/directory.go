package diskfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Directory watches over what a store has open. A file that is removed or replaced under
// a running process takes what is written to it along, and nobody would notice: a
// process that starts later would find nothing, or something else.
type Directory struct {
	Path   string
	handle *os.File // held so that its number is not given to another directory
	parts  []part   // the directory itself comes first
}

// part is something that is open, and where it must be found.
type part struct {
	path  string
	info  fs.FileInfo // as it was opened
	fixed bool        // it never changes its size
	size  int64       // the largest that it has had
}

// OpenDirectory holds the directory open. Its files are added as they are opened.
func OpenDirectory(path string) (*Directory, error) {
	handle, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	d := &Directory{Path: path, handle: handle}
	if err := d.Add(path, handle, false); err != nil {
		return nil, errors.Join(err, handle.Close())
	}
	return d, nil
}

// Add watches over an open file too. Fixed ones never change their size, others never shrink.
func (d *Directory) Add(path string, open interface{ Stat() (fs.FileInfo, error) }, fixed bool) error {
	info, err := open.Stat()
	if err != nil {
		return err
	}
	d.parts = append(d.parts, part{path: path, info: info, fixed: fixed, size: info.Size()})
	return nil
}

// Drop ends the watch over a file.
func (d *Directory) Drop(path string) {
	d.parts = slices.DeleteFunc(d.parts, func(p part) bool { return p.path == path })
}

// Check returns an error where something is not what was opened any more. A file that was
// changed in a way that nothing can undo is ErrDamaged.
func (d *Directory) Check() error {
	for i := range d.parts {
		p := &d.parts[i]
		now, err := os.Lstat(p.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return p.lost("has been removed")
		case err != nil:
			return err
		case !os.SameFile(now, p.info):
			return p.lost("has been replaced")
		case i == 0:
		case p.fixed && now.Size() != p.size:
			return p.lost(fmt.Sprintf("has %d bytes instead of %d", now.Size(), p.size))
		case now.Size() < p.size:
			return fmt.Errorf("%s: %w: %d bytes of %d are left: stop the gateway and put a copy of the whole directory back",
				p.path, ErrDamaged, now.Size(), p.size)
		}
		p.size = now.Size()
	}
	return nil
}

func (p *part) lost(how string) error {
	return fmt.Errorf("%s %s under the running gateway: move the original back to where it was; "+
		"or restart the gateway, which forgets what it cannot find", p.path, how)
}

// Close lets the directory go.
func (d *Directory) Close() error { return d.handle.Close() }
