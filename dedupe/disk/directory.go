package disk

import (
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile"

	"errors"
	"fmt"
	"io/fs"
	"os"
)

// directory watches over what a store has open. A file that is removed or replaced under
// a running process takes what is written to it along, and nobody would notice: a
// process that starts later would find nothing, or something else.
type directory struct {
	path   string
	handle *os.File // held so that its number is not given to another directory
	parts  []part   // the directory itself comes first
}

// part is something that is open, and where it must be found.
type part struct {
	path string
	info fs.FileInfo // as it was opened
	log  bool        // a log file never changes its size
	size int64       // the largest that the database has had
}

// openDirectory holds the directory open. Its files are added as they are opened.
func openDirectory(path string) (*directory, error) {
	handle, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	d := &directory{path: path, handle: handle}
	if err := d.add(path, handle, false); err != nil {
		return nil, errors.Join(err, handle.Close())
	}
	return d, nil
}

func (d *directory) add(path string, open *os.File, log bool) error {
	info, err := open.Stat()
	if err != nil {
		return err
	}
	d.parts = append(d.parts, part{path: path, info: info, log: log, size: info.Size()})
	return nil
}

// check returns an error where something is not what was opened any more. A file that was
// changed in a way that nothing can undo is diskfile.ErrDamaged.
func (d *directory) check() error {
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
		case p.log && now.Size() != p.size:
			return p.lost(fmt.Sprintf("has %d bytes instead of %d", now.Size(), p.size))
		case now.Size() < p.size:
			return fmt.Errorf("%s: %w: %d bytes of %d are left: stop the gateway and put a copy of the whole directory back",
				p.path, diskfile.ErrDamaged, now.Size(), p.size)
		}
		p.size = now.Size()
	}
	return nil
}

func (p *part) lost(how string) error {
	return fmt.Errorf("%s %s under the running gateway: move the original back to where it was; "+
		"or restart the gateway, which forgets what it cannot find", p.path, how)
}

func (d *directory) close() error { return d.handle.Close() }
