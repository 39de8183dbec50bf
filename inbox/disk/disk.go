// Package disk is an [inbox.Store] in a directory of this machine.
//
// It has two parts. The log is a series of segments, to which batches are appended: what
// changes about events, and their envelopes. One goroutine writes it for all callers, so that
// those that come at a time share one write and one sync (writer). The index is a bbolt
// database, into which the changes are moved in the background (checkpoint). What the database
// does not have yet is in memory, as are all events that wait, without envelopes and texts.
//
// An envelope is written once, and stays where it is. A segment goes when no envelope in it is
// kept, and what is in it the database has; where few are kept they are copied to the end of
// the log first (compaction).
//
// There is one lock, Store.mu. No disk is waited for while it is held, but by a read of the
// database.
package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile"
)

// maxBody bounds an envelope. Bodies that a gateway accepts are far smaller.
const maxBody = math.MaxInt32

var errTooLarge = errors.New("the envelope is too large")

// Options configures [Open].
type Options struct {
	// Dir is the directory of the store, which has it to itself. It is made where it is
	// missing.
	Dir string
	// Now is the clock. Default: time.Now.
	Now func() time.Time

	// The rest is for tests.
	segmentSize     int64
	ahead           int64
	checkpointDirty int
	waitBudget      time.Duration
	layer           layer
	flushing        func() // called when a checkpoint begins
	flushed         func() // called when the database has it
}

// Store is an [inbox.Store] in a directory of this machine, for one process at a time. What a
// method has acknowledged is on the disk, and survives the end of the process and a power
// failure; but for holds, which end with the process.
//
// While the disk takes no writes, whatever changes something fails, and changes nothing. It is
// the same where the directory or files are removed or replaced, which is noticed within a
// second or two.
//
// Its time never runs backwards, also where the machine's does.
type Store struct {
	db     *bolt.DB
	dbPath string
	watch  *diskfile.Directory   // the writer's goroutine alone uses it
	damage atomic.Pointer[error] // why the database must not be used any more; nil: it may
	clock  clock
	writer *writer

	// mu guards what follows, and the boxes.
	mu     sync.Mutex
	segs   segments
	boxes  map[string]*box
	dirty  int // how many entries the database does not have as they are
	closed bool
}

// clock is the time of the store, which does not run backwards.
type clock struct {
	now   func() time.Time
	start time.Time
	base  int64 // the store's time at start; unix ms
}

func newClock(now func() time.Time) clock {
	if now == nil {
		now = time.Now
	}
	start := now()
	return clock{now, start, start.UnixMilli()}
}

// read counts on the monotonic clock.
func (c clock) read() int64 { return c.base + max(0, c.now().Sub(c.start).Milliseconds()) }

func newStoreID() (id storeID) {
	rand.Read(id[:]) // documented to never return an error
	return id
}

// Open opens the store in a directory, and makes it first where there is nothing of one. What
// is neither new nor whole is refused. Its errors name the directory and the fix.
func Open(o Options) (*Store, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if o.segmentSize == 0 {
		o.segmentSize = segmentSize
	}
	if o.ahead == 0 {
		o.ahead = ahead
	}
	if o.checkpointDirty == 0 {
		o.checkpointDirty = checkpointDirty
	}
	if o.waitBudget == 0 {
		o.waitBudget = waitBudget
	}
	if o.layer == nil {
		o.layer = system{}
	}
	s := &Store{clock: newClock(o.Now), boxes: make(map[string]*box), dbPath: filepath.Join(dir, databaseName)}
	s.segs = segments{dir: dir, layer: o.layer, limit: o.segmentSize, ahead: o.ahead, all: make(map[uint64]*segment)}
	if err := s.openDatabase(dir); err != nil {
		return nil, explain(dir, err)
	}
	to, err := s.recover()
	if err != nil {
		return nil, errors.Join(explain(dir, err), s.db.Close(), s.segs.close(), s.watch.Close())
	}
	s.writer = newWriter(s, o, to)
	go s.writer.run()
	return s, nil
}

// Queue implements inbox.Store.
func (s *Store) Queue(name string, o inbox.Options) (inbox.Queue, error) {
	if err := inbox.CheckName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &queue{s, s.box(name), o}, nil
}

// box returns an inbox. It needs mu.
func (s *Store) box(name string) *box {
	b := s.boxes[name]
	if b == nil {
		b = newBox(name)
		s.boxes[name] = b
	}
	return b
}

// Names implements inbox.Store.
func (s *Store) Names(ctx context.Context) (names []string, err error) {
	err = s.view(ctx, func(*bolt.Tx, int64) error {
		for _, name := range slices.Sorted(maps.Keys(s.boxes)) {
			if s.boxes[name].used {
				names = append(names, name)
			}
		}
		return nil
	})
	return names, err
}

// view looks at the store.
func (s *Store) view(ctx context.Context, look func(tx *bolt.Tx, now int64) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return inbox.ErrClosed
	}
	return s.read(func(tx *bolt.Tx) error { return look(tx, s.clock.read()) })
}

// letGo ends reads of segments.
func (s *Store) letGo(taken []taking) {
	s.mu.Lock()
	defer s.mu.Unlock()
	letGo(taken)
}

// read looks at the database.
func (s *Store) read(look func(*bolt.Tx) error) error {
	return s.use(func() error { return s.db.View(look) })
}

// use keeps everybody from a database that has turned out to make no sense: the library may
// have been left in any state. It adds the file to such an error; one about a segment names
// that.
func (s *Store) use(do func() error) error {
	if damage := s.damage.Load(); damage != nil {
		return *damage
	}
	err := diskfile.Guarded(do)
	if errors.Is(err, diskfile.ErrDamaged) {
		if !strings.Contains(err.Error(), segmentSuffix) {
			err = fmt.Errorf("%s: %w: stop the gateway and put a copy of the whole directory back", s.dbPath, err)
		}
		s.damage.Store(&err)
	}
	return err
}

// Close implements inbox.Store. Steps that are under way are finished first. When it returns,
// the directory is free for another process.
func (s *Store) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.writer.close()
	<-s.writer.ended
	if !first {
		return nil
	}
	err := errors.Join(s.writer.endErr, s.segs.close(), s.watch.Close())
	if s.damage.Load() == nil { // else the library may hold locks for good: the end of the process closes the file
		err = errors.Join(err, s.db.Close())
	}
	return err
}

var _ inbox.Store = (*Store)(nil)
