package chaos

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// fullDisks bound the size of the gateway's files, which it notices as it notices a disk
// that is full: writes fail. Either nothing at all can be written, or no file grows.
func (w inboxFaults) fullDisks() []faultKind {
	limit := func(kind string, size func() uint64) faultKind {
		return faultKind{kind: kind, draw: func(*rand.Rand) injection {
			return injection{
				fault:  fault{gateway: 0, hits: storeHit},
				inject: func() { w.limitFiles(size()) },
				repair: func() { w.limitFiles(unix.RLIM_INFINITY) },
			}
		}}
	}
	return []faultKind{
		limit("disk full, nothing can be written", func() uint64 { return 1 }),
		limit("disk full, files cannot grow", w.largestSegment),
	}
}

// limitFiles does nothing to a gateway that has been killed. The next one has no limit.
func (w inboxFaults) limitFiles(size uint64) {
	err := unix.Prlimit(w.gateways[0].Pid(), unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		w.tb.Errorf("limiting the files of the gateway: %v", err)
	}
}

// largestSegment is the size of the largest segment of the inboxes, or 1.
func (w inboxFaults) largestSegment() uint64 {
	largest := int64(1)
	dir := w.topology.(onDisk).dir
	_ = filepath.WalkDir(filepath.Join(dir, "inbox"), func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(entry.Name()) == ".segment" {
			if info, err := entry.Info(); err == nil {
				largest = max(largest, info.Size())
			}
		}
		return nil // files come and go
	})
	return uint64(largest)
}
