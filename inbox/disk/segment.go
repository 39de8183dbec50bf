package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile"
)

// file is what a segment needs of a file.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// SyncData returns when what was written is on the disk.
	SyncData() error
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
}

// layer is what the store needs of a directory. Tests record what goes through it.
type layer interface {
	Create(path string) (file, error)
	Open(path string) (f file, size int64, err error)
	Remove(path string) error
	SyncDir(dir string) error
}

// system is the layer of the system.
type system struct{}

func (system) Create(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR|diskfile.NoFollow, 0o600)
	if err != nil {
		return nil, err
	}
	return diskfile.Synced{File: f}, nil
}

func (system) Open(path string) (file, int64, error) {
	f, err := diskfile.OpenFile(path, os.O_RDWR)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return diskfile.Synced{File: f}, info.Size(), nil
}

func (system) Remove(path string) error { return os.Remove(path) }
func (system) SyncDir(dir string) error { return diskfile.SyncDir(dir) }

// segment is one file of the log.
type segment struct {
	number uint64
	path   string
	file   file
	size   int64 // up to the end of its last batch
	ready  int64 // up to the end of what has been written for batches to come

	// The store's mu guards what follows.
	live  int64 // bytes of the envelopes in it that are kept
	count int   // of them
	refs  int   // readers that are under way
	stuck bool  // some of them cannot be read, so it stays as it is
}

// segments are the files of the log by their numbers. The last one is written to.
type segments struct {
	dir   string
	layer layer
	id    storeID
	limit int64 // how large a segment grows
	ahead int64 // how much is made ready at a time
	all   map[uint64]*segment
	last  *segment
}

const segmentSuffix = ".segment"

func (s *segments) pathOf(number uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%012d%s", number, segmentSuffix))
}

// numbers returns the numbers of the segments in the directory, in order.
func (s *segments) numbers() (all []uint64, err error) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), segmentSuffix)
		if number, err := strconv.ParseUint(name, 10, 64); ok && err == nil {
			all = append(all, number)
		}
	}
	slices.Sort(all)
	return all, nil
}

// make makes a new segment, which begins with the given batch. It has its head on the disk
// before any batch follows.
func (s *segments) make(number, first uint64) (*segment, error) {
	path := s.pathOf(number)
	// What is there was left by a crash, or by a failure, in the middle of this.
	if err := s.layer.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := s.layer.Create(path)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteAt(s.id.encodeSegmentHead(number, first), 0)
	if err == nil {
		err = f.SyncData()
	}
	if err == nil {
		err = s.layer.SyncDir(s.dir)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &segment{number: number, path: path, file: f, size: segmentHead}, nil
}

// add makes a segment the last one.
func (s *segments) add(seg *segment) {
	s.last = seg
	s.all[seg.number] = seg
}

// append writes a batch and returns when it is on the disk. After an error the next batch
// goes to the same place.
func (s *segments) append(batch []byte) error {
	seg := s.last
	if _, err := seg.file.WriteAt(batch, seg.size); err != nil {
		return err
	}
	end := seg.size + int64(len(batch))
	if end > seg.ready {
		seg.ready = s.makeReady(seg, end)
	}
	if err := seg.file.SyncData(); err != nil {
		return err
	}
	seg.size = end
	return nil
}

// makeReady writes zeros from a place on, which batches are written over, and returns where
// they end. A sync then has nothing but data to write, as the file does not grow, and takes
// half of the time and of the CPU. Where there is no room for zeros, it takes what it takes.
func (s *segments) makeReady(seg *segment, from int64) (to int64) {
	n := min(s.ahead, s.limit-from)
	if n <= 0 {
		return from
	}
	written, _ := seg.file.WriteAt(make([]byte, n), from)
	return from + int64(written)
}

// trim gives back what was made ready in a segment that is not written to any more. Where it
// does not, the zeros are no harm.
func (seg *segment) trim() {
	if seg.ready > seg.size {
		_ = seg.file.Truncate(seg.size)
	}
}

// hold returns the segment of an envelope, which stays until it is let go. It needs the
// store's mu; nil means that it is gone.
func (s *segments) hold(p place) *segment {
	seg := s.all[p.segment]
	if seg != nil {
		seg.refs++
	}
	return seg
}

// read returns an envelope, or nil where it cannot be read.
func (s *segments) read(seg *segment, p place, k inbox.Key) []byte {
	if seg == nil || p.size == 0 {
		return nil
	}
	body := make([]byte, bodyHead+int(p.size))
	if _, err := seg.file.ReadAt(body, int64(p.at)); err != nil {
		return nil
	}
	return s.id.parseBody(body, k)
}

// count notes that an envelope is kept (by 1) or not any more (by -1).
func (s *segments) count(p place, by int) {
	if seg := s.all[p.segment]; seg != nil && p.size > 0 {
		seg.count += by
		seg.live += int64(by) * int64(p.size)
	}
}

// drop removes the file of a segment that nobody knows any more.
func (s *segments) drop(seg *segment) error {
	return errors.Join(seg.file.Close(), s.layer.Remove(seg.path))
}

func (s *segments) close() (err error) {
	for _, seg := range s.all {
		err = errors.Join(err, seg.file.Close())
	}
	return err
}
