package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile"
)

const databaseName = "inbox.db"

// openDatabase opens the database, and makes it where there is nothing of a store. Segments
// without a database are no new store.
func (s *Store) openDatabase(dir string) error {
	if err := diskfile.MakeDir(dir); err != nil {
		return err
	}
	if err := diskfile.CheckDirectory(dir); err != nil {
		return err
	}
	if _, err := os.Lstat(s.dbPath); errors.Is(err, fs.ErrNotExist) {
		numbers, err := s.segs.numbers()
		if err != nil {
			return err
		}
		if len(numbers) > 0 {
			return fmt.Errorf("%w: %s is missing, and %s is there", diskfile.ErrDamaged, databaseName, s.segs.pathOf(numbers[0]))
		}
		if err := diskfile.MakeDatabase(s.dbPath, makeBuckets); err != nil {
			return err
		}
	}
	watch, err := diskfile.OpenDirectory(dir)
	if err != nil {
		return err
	}
	s.watch = watch
	s.db, err = diskfile.OpenDatabase(s.dbPath, func(f *os.File) error { return watch.Add(s.dbPath, f, false) }, checkBuckets)
	if err != nil {
		return errors.Join(err, watch.Close())
	}
	return nil
}

// explain says what to do about a store that does not open.
func explain(dir string, err error) error {
	var system *fs.PathError
	switch {
	case errors.As(err, new(diskfile.Refusal)):
		return err
	case strings.Contains(err.Error(), "put a copy"):
		return fmt.Errorf("%w; or move %s away to begin with an empty one, which has none of the events that wait", err, dir)
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%s is in use by another process, or by requests of this one from before a reload: use another directory, or store redis <url>", dir)
	case errors.As(err, &system):
		return fmt.Errorf("%s: %w: the user that this process runs as must be able to write there, and find room; else use another directory, or store redis <url>", dir, err)
	}
	return fmt.Errorf("%s: %w: put a copy of the whole directory back, or move it away to begin with an empty one, which has none of the events that wait", dir, err)
}

// recovery reads a store that is there.
type recovery struct {
	s   *Store
	tx  *bolt.Tx
	now int64
	at  position
}

// recover reads the database, and what the log has beyond it. It returns where the log ends.
func (s *Store) recover() (position, error) {
	r := recovery{s: s, now: s.clock.read()}
	err := s.read(func(tx *bolt.Tx) error {
		r.tx = tx
		about := tx.Bucket(bucketAbout)
		copy(s.segs.id[:], about.Get(keyStore))
		r.at = decodePosition(about.Get(keyMoved))
		firsts, err := r.openSegments()
		if err != nil {
			return err
		}
		if err := r.load(); err != nil {
			return err
		}
		return r.replay(firsts)
	})
	if err == nil && s.segs.last == nil {
		var seg *segment
		if seg, err = s.segs.make(1, 1); err == nil {
			s.segs.add(seg)
		}
	}
	if err == nil {
		err = s.segs.cut()
	}
	for _, seg := range s.segs.all {
		err = errors.Join(err, s.watch.Add(seg.path, seg.file, false))
	}
	s.clock.base = max(s.clock.base, r.at.time)
	return r.at, err
}

// openSegments opens the segments, and returns the number of each one's first batch.
func (r *recovery) openSegments() (firsts map[uint64]uint64, err error) {
	segs := &r.s.segs
	numbers, err := segs.numbers()
	if err != nil {
		return nil, err
	}
	firsts = make(map[uint64]uint64)
	for i, number := range numbers {
		seg := &segment{number: number, path: segs.pathOf(number)}
		if seg.file, seg.size, err = segs.layer.Open(seg.path); err != nil {
			return nil, err
		}
		segs.all[number] = seg // so that it is closed, whatever happens
		head := make([]byte, segmentHead)
		n, err := seg.file.ReadAt(head, 0)
		first, ok := segs.id.parseSegmentHead(head[:n], number)
		if !ok && i == len(numbers)-1 && seg.size <= segmentHead && number > r.at.segment {
			// A crash in the middle of making it. No batch is written before the head is there.
			delete(segs.all, number)
			if err := segs.drop(seg); err != nil {
				return nil, err
			}
			continue
		}
		if !ok {
			return nil, errors.Join(fmt.Errorf("%s: %w: it is no segment of this store", seg.path, diskfile.ErrDamaged), ignoreEnd(err))
		}
		firsts[number] = first
		if segs.last != nil && number >= r.at.segment && number != segs.last.number+1 && segs.last.number >= r.at.segment {
			return nil, fmt.Errorf("%s: %w: the segment before it is missing", seg.path, diskfile.ErrDamaged)
		}
		segs.last = seg
	}
	if from := r.at.segment; from != 0 && segs.all[from] == nil || from == 0 && len(firsts) > 0 && segs.all[1] == nil {
		return nil, fmt.Errorf("%s: %w: it is missing", segs.pathOf(max(1, from)), diskfile.ErrDamaged)
	}
	return firsts, nil
}

// ignoreEnd is err, but for the end of a file.
func ignoreEnd(err error) error {
	if err != nil && err.Error() == "EOF" {
		return nil
	}
	return err
}

// load counts what the database has, and takes what waits into memory.
func (r *recovery) load() error {
	return r.tx.Bucket(bucketInboxes).ForEachBucket(func(name []byte) error {
		b, stored := r.s.box(string(name)), recordsOf(r.tx, string(name))
		b.used, b.paused = true, stored.inbox.Get(keyPaused) != nil
		return stored.events.ForEach(func(k, v []byte) error {
			e, _, err := decodeRecord(inbox.Key(k), v)
			if err != nil {
				return err
			}
			b.count(&r.s.segs, e, 1)
			if e.kind == waiting {
				b.hold(e.key, e, r.now)
			}
			return nil
		})
	})
}

// replay does what the log says beyond the database.
func (r *recovery) replay(firsts map[uint64]uint64) error {
	segs := &r.s.segs
	if segs.last == nil {
		return nil
	}
	at := int64(r.at.at)
	for number := max(1, r.at.segment); number <= segs.last.number; number++ {
		seg := segs.all[number]
		if at < segmentHead || number > r.at.segment {
			at = segmentHead
			if firsts[number] != r.at.number+1 {
				return fmt.Errorf("%s: %w: batches %d to %d are missing before it", seg.path, diskfile.ErrDamaged, r.at.number+1, firsts[number]-1)
			}
		}
		if seg.size < at {
			return fmt.Errorf("%s: %w: %d bytes of %d are left", seg.path, diskfile.ErrDamaged, seg.size, at)
		}
		next, followed := firsts[number+1]
		end, err := r.readSegment(seg, at, next)
		if err != nil {
			return err
		}
		if !followed {
			if err := r.nothingBehind(seg, end); err != nil {
				return err
			}
		}
		seg.size, r.at.segment, r.at.at = end, number, uint64(end)
	}
	return nil
}

// readSegment replays the batches of a segment from a place on, and returns where they end.
// The next segment begins with the batch next; 0 where there is none.
func (r *recovery) readSegment(seg *segment, at int64, next uint64) (end int64, err error) {
	for {
		b, data := r.batchAt(seg, at)
		if data == nil || b.number != r.at.number+1 {
			return at, nil
		}
		changes, ok := parseChanges(data[batchHead+b.bodies:])
		if !ok {
			return 0, fmt.Errorf("%s: %w: batch %d makes no sense", seg.path, diskfile.ErrDamaged, b.number)
		}
		if !r.bodiesSound(seg, at, data, changes) {
			// A crash in the middle of writing it, unless something follows: then it was whole
			// once, and the events whose envelopes are damaged are given up when they are taken.
			after, _ := r.headAt(seg, at+int64(b.size()))
			if after.number != b.number+1 && next != b.number+1 {
				return at, nil
			}
		}
		for _, c := range changes {
			if err := r.apply(c); err != nil {
				return 0, fmt.Errorf("%s: batch %d: %w", seg.path, b.number, err)
			}
		}
		r.at.number, r.at.time = b.number, max(r.at.time, b.time)
		at += int64(b.size())
	}
}

// headAt reads the head of a batch.
func (r *recovery) headAt(seg *segment, at int64) (b batchInfo, ok bool) {
	head := make([]byte, batchHead)
	if _, err := seg.file.ReadAt(head, at); err != nil {
		return b, false
	}
	return r.s.segs.id.parseBatchHead(head)
}

// batchAt reads a batch whose head and changes are sound, or nil.
func (r *recovery) batchAt(seg *segment, at int64) (b batchInfo, data []byte) {
	b, ok := r.headAt(seg, at)
	if !ok || b.size() > uint64(seg.size-at) {
		return b, nil
	}
	data = make([]byte, b.size())
	if _, err := seg.file.ReadAt(data, at); err != nil || r.s.segs.id.checksum(data[batchHead+b.bodies:]) != b.sum {
		return b, nil
	}
	return b, data
}

// bodiesSound reports whether all envelopes of a batch can be read.
func (r *recovery) bodiesSound(seg *segment, at int64, data []byte, changes []change) bool {
	for _, c := range changes {
		if c.entry == nil || c.entry.body.size == 0 || c.entry.body.segment != seg.number || int64(c.entry.body.at) < at {
			continue
		}
		from := c.entry.body.at - uint64(at)
		to := from + bodyHead + uint64(c.entry.body.size)
		if to > uint64(len(data)) || r.s.segs.id.parseBody(data[from:to], c.key) == nil {
			return false
		}
	}
	return true
}

// nothingBehind refuses a log that goes on behind its end: then something was lost that had
// been acknowledged, as no batch is begun before the one in front of it is on the disk.
func (r *recovery) nothingBehind(seg *segment, end int64) error {
	rest := make([]byte, seg.size-end)
	if _, err := seg.file.ReadAt(rest, end); err != nil && ignoreEnd(err) != nil {
		return err
	}
	for from := 0; from < len(rest); from++ {
		next := bytes.Index(rest[from:], []byte(batchMagic))
		if next < 0 {
			return nil
		}
		from += next
		if b, ok := r.s.segs.id.parseBatchHead(rest[from:]); ok && b.number > r.at.number && (from > 0 || b.number > r.at.number+1) {
			return fmt.Errorf("%s: %w: something at byte %d cannot be read, and batch %d follows it", seg.path, diskfile.ErrDamaged, end, b.number)
		}
	}
	return nil
}

// apply does one change.
func (r *recovery) apply(c change) error {
	b := r.s.box(c.name)
	b.used = true
	if c.what == changePause {
		b.paused = c.paused
		return nil
	}
	held := b.entries[c.key]
	old := held
	if held == nil {
		var err error
		if old, _, err = recordsOf(r.tx, c.name).get(c.key); err != nil {
			return err
		}
	}
	e := c.entry
	if c.what == changeRemoved {
		e = &entry{key: c.key}
	} else {
		if e.meta == nil && held != nil {
			e.meta, e.tail = held.meta, held.tail
		}
		switch {
		case e.meta != nil:
			e.typed = typeSum(e.meta.kind)
		case old == nil || old.kind == removed:
			return fmt.Errorf("%w: it changes an event that is not there", diskfile.ErrDamaged)
		default:
			e.typed = old.typed
		}
		for _, a := range c.attempt {
			e.tail = inbox.Remember(append([]inbox.Attempt(nil), e.tail...), a)
		}
	}
	b.count(&r.s.segs, old, -1)
	b.count(&r.s.segs, e, 1)
	b.hold(c.key, e, r.now)
	if !b.dirty[c.key] {
		b.dirty[c.key] = true
		r.s.dirty++
	}
	return nil
}

// cut removes what a crash has left behind the end of the log. What was read may be on its way
// to the disk only, and is relied on from now on.
func (s *segments) cut() error {
	if err := s.last.file.Truncate(s.last.size); err != nil {
		return err
	}
	return errors.Join(s.last.file.SyncData(), s.layer.SyncDir(s.dir))
}
