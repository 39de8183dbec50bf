package disk

import (
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// checkpointEvery is how long the database may lag behind the log.
	checkpointEvery = time.Minute
	// checkpointDirty is how many events may be in memory until then.
	checkpointDirty = 8192
)

// checkpoint moves what the log says into the database. The writer's goroutine drives it; one
// that is under way touches nothing but the database and what no longer changes.
type checkpoint struct {
	since   int64 // when the last one began
	written int64 // bytes of changes in the log since then
	running chan error
	pending []flushedBox // on its way; nil: nothing is
	to      position     // of the batch that pending ends with
	done    position     // of the last batch that is in the database
	err     error        // why the last one failed
	failed  bool
}

// startCheckpoint begins one, or begins the one that failed again. Before that it looks whether
// the database is whole: a fault in the middle of a transaction ends the process, as the library
// then reads all of it in a goroutine of its own.
func (w *writer) startCheckpoint() {
	cp := &w.checkpoint
	if w.lost = w.s.watch.Check(); w.lost != nil {
		return
	}
	if cp.pending == nil {
		cp.to = w.position()
		cp.pending = w.s.snapshot(cp.to.number)
		cp.since, cp.written = w.s.clock.read(), 0
	}
	result := make(chan error, 1)
	cp.running = result
	boxes, to := cp.pending, cp.to
	go func() {
		if w.o.flushing != nil {
			w.o.flushing()
		}
		result <- w.s.use(func() error {
			return w.s.db.Update(func(tx *bolt.Tx) error { return flush(tx, boxes, to) })
		})
	}()
}

// position is where the log ends.
func (w *writer) position() position {
	last := w.s.segs.last
	return position{last.number, uint64(last.size), w.next - 1, w.s.clock.read()}
}

// snapshot takes what the database does not have.
func (s *Store) snapshot(upTo uint64) []flushedBox {
	s.mu.Lock()
	defer s.mu.Unlock()
	boxes := make([]flushedBox, 0, len(s.boxes))
	for _, b := range s.boxes {
		if !b.used {
			continue
		}
		b.snapshot(upTo)
		boxes = append(boxes, flushedBox{b.name, b.paused, b.flushing})
	}
	s.dirty = 0
	return boxes
}

// finishCheckpoint takes note of the end of one, and drops the segments that nothing needs
// any more. No batch is under way, so the memory is what the disk has.
func (w *writer) finishCheckpoint(err error) {
	cp := &w.checkpoint
	cp.running, cp.err, cp.failed = nil, err, err != nil
	if err != nil {
		return
	}
	cp.done, w.compaction.again = cp.to, true
	if w.o.flushed != nil {
		w.o.flushed()
	}
	w.s.mu.Lock()
	for _, b := range cp.pending {
		w.s.boxes[b.name].flushed()
	}
	cp.pending = nil
	var dropped []*segment
	for _, seg := range w.s.segs.all {
		if seg.number < cp.done.segment && seg.count == 0 && seg.refs == 0 && seg != w.compaction.from {
			delete(w.s.segs.all, seg.number)
			dropped = append(dropped, seg)
		}
	}
	w.s.mu.Unlock()
	for _, seg := range dropped {
		w.s.watch.Drop(seg.path)
		if err := w.s.segs.drop(seg); err != nil {
			cp.err = err // its file stays until the store is opened again
		}
	}
}
