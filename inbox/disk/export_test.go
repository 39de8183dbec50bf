package disk

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// WithCheckpoints has a checkpoint begun whenever so many events are dirty.
func (o Options) WithCheckpoints(dirty int) Options {
	o.checkpointDirty = dirty
	return o
}

// WithAhead sets how much of a segment is made ready at a time.
func (o Options) WithAhead(size int64) Options {
	o.ahead = size
	return o
}

// WithSegments sets the size of segments.
func (o Options) WithSegments(size int64) Options {
	o.segmentSize = size
	return o
}

// WithWaitBudget sets how long a caller waits for the disk.
func (o Options) WithWaitBudget(d time.Duration) Options {
	o.waitBudget = d
	return o
}

// Waiting counts the steps that the writer has not begun.
func (s *Store) Waiting() int {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return len(s.writer.waiting)
}

// Damage changes a byte of an envelope on the disk.
func (s *Store) Damage(t *testing.T, name string, k inbox.Key) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	body := s.boxes[name].entries[k].body
	f, at := s.segs.all[body.segment].file, int64(body.at)+bodyHead
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0xff
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// Crash ends the process, as far as the files are concerned: nothing more is written, and the
// lock is gone.
func (s *Store) Crash(t *testing.T) {
	t.Helper()
	s.writer.mu.Lock()
	s.writer.crashed = true
	s.writer.mu.Unlock()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.writer.close()
	<-s.writer.ended
	if running := s.writer.checkpoint.running; running != nil {
		if err := <-running; err != nil { // the process has one more instant
			t.Logf("the checkpoint: %v", err)
		}
	}
	if found := s.writer.compaction.found; found != nil {
		<-found
	}
	if err := errors.Join(s.db.Close(), s.segs.close(), s.watch.Close()); err != nil {
		t.Fatal(err)
	}
}

// Segments counts the files of the log.
func (s *Store) Segments() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.segs.all)
}

// Dirty counts the events that the database does not have as they are.
func (s *Store) Dirty() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dirty
}

// InMemory counts the events that are in memory.
func (s *Store) InMemory(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.boxes[name].entries)
}

// WithLayer puts something between the store and its files.
func (o Options) WithLayer(wrap func(Layer) Layer) Options {
	o.layer = wrap(system{})
	return o
}

// WithHooks has functions called when a checkpoint begins, and when the database has it.
func (o Options) WithHooks(flushing, flushed func()) Options {
	o.flushing, o.flushed = flushing, flushed
	return o
}

type (
	Layer = layer
	File  = file
)

// SomeChanges are the changes of batches.
func SomeChanges() [][]byte {
	m := meta{"acme", "evt_1", "job.done"}
	e := &entry{key: inbox.Key{1}, kind: waiting, accepted: 1, begun: 2, at: 3, attempts: 4, status: 500, body: place{1, 64, 100}}
	d := e.ends(dead, 9)
	d.reason, d.replay, d.token = "age", true, inbox.Token{2}
	name := appendText(nil, "payments")
	put := slices.Concat([]byte{changeEvent}, name, e.key[:], []byte{partMeta}, m.encode(e.encode(nil)))
	ended := slices.Concat([]byte{changeEvent}, name, e.key[:], []byte{partAttempt}, encodeAttempt(d.encode(nil), inbox.Attempt{Number: 3, At: time.UnixMilli(5), Took: time.Second, Status: 500, Error: "x", Head: []byte("y")}))
	gone := slices.Concat([]byte{changeRemoved}, name, e.key[:])
	paused := slices.Concat([]byte{changePause}, name, []byte{1})
	return [][]byte{put, ended, gone, paused, slices.Concat(put, ended, gone, paused)}
}

// Rewritten reads changes, and writes them again.
func Rewritten(changes []byte) (again []byte, ok bool) {
	all, ok := parseChanges(changes)
	for _, c := range all {
		again = appendText(append(again, c.what), c.name)
		switch c.what {
		case changeRemoved:
			again = append(again, c.key[:]...)
		case changePause:
			again = append(again, map[bool]byte{true: 1}[c.paused])
		default:
			var parts byte
			if c.entry.meta != nil {
				parts |= partMeta
			}
			if c.attempt != nil {
				parts |= partAttempt
			}
			again = c.entry.encode(append(append(again, c.key[:]...), parts))
			if c.entry.meta != nil {
				again = c.entry.meta.encode(again)
			}
			for _, a := range c.attempt {
				again = encodeAttempt(again, a)
			}
		}
	}
	return again, ok
}

// Copied counts the envelopes that compactions have copied. The store is closed.
func (s *Store) Copied() int { return s.writer.compaction.copied }

// LookAtOnce is how many envelopes one step of a compaction looks at.
const LookAtOnce = lookAtOnce

// CompactionSteps counts the steps that compactions have taken. The store is closed.
func (s *Store) CompactionSteps() int { return s.writer.compaction.steps }
