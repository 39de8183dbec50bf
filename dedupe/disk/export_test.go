package disk

import (
	"errors"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile"
)

// LogFile is what the log writes to.
type LogFile = logFile

// WithLog sets the size of the log files, where it is not zero, and what stands between
// the log and its files.
func (o Options) WithLog(size int64, wrap func(LogFile) LogFile) Options {
	o.logSize, o.wrapLog = size, wrap
	return o
}

// Records counts the keys in the database or in its index, whichever has more; those
// whose time is over too.
func (s *Store) Records() (n int) {
	_ = s.checkpointer.db.View(func(tx *bolt.Tx) error {
		n = max(tx.Bucket(bucketDone).Stats().KeyN, tx.Bucket(bucketExpiry).Stats().KeyN)
		return nil
	})
	return n
}

// Unmoved counts the keys that the database does not have yet.
func (s *Store) Unmoved() int {
	s.checkpointer.mu.Lock()
	defer s.checkpointer.mu.Unlock()
	return len(s.checkpointer.active) + len(s.checkpointer.flushing)
}

// Syncs reports whether a transaction is on the disk when it returns. No test can pull
// the plug.
func (s *Store) Syncs() bool { return !s.checkpointer.db.NoSync && !s.checkpointer.db.NoGrowSync }

// Queued is how many writes wait for the writer to take them.
func (s *Store) Queued() int {
	s.writer.queue.mu.Lock()
	defer s.writer.queue.mu.Unlock()
	return len(s.writer.queue.waiting)
}

// SetWaitBudget sets how long callers wait for the disk.
func (s *Store) SetWaitBudget(d time.Duration) { s.writer.waitBudget = d }

// ReadLog returns the numbers of the batches in a log file and the keys they finish.
func ReadLog(data []byte, done uint64) (numbers []uint64, keys []dedupe.Key, err error) {
	run, err := readLog(data, done)
	for _, b := range run {
		numbers = append(numbers, b.number)
		for _, c := range b.changes {
			keys = append(keys, c.event.ID)
		}
	}
	return numbers, keys, err
}

// Rewritten is what the batches of a log file look like when they are written again.
func Rewritten(data []byte, done uint64) (again []byte) {
	run, _ := readLog(data, done)
	for _, b := range run {
		again = b.encode(again)
	}
	return again
}

// Batch is a batch as it stands in a log file.
func Batch(number uint64, events ...dedupe.Event) []byte {
	b := batch{number: number, time: 1}
	for _, ev := range events {
		b.changes = append(b.changes, change{event: ev, expires: 2, status: 200})
	}
	return b.encode(nil)
}

// HoldDatabase keeps everybody from writing to the database, as a disk that hangs does.
func (s *Store) HoldDatabase(tb testing.TB) (release func()) {
	tb.Helper()
	tx, err := s.checkpointer.db.Begin(true)
	if err != nil {
		tb.Fatal(err)
	}
	return sync.OnceFunc(func() { _ = tx.Rollback() })
}

// AwaitCheckpoint returns when no records are on their way to the database.
func (s *Store) AwaitCheckpoint() {
	for flushing := true; flushing; time.Sleep(time.Millisecond) {
		s.checkpointer.mu.Lock()
		flushing = s.checkpointer.flushing != nil
		s.checkpointer.mu.Unlock()
	}
}

// ForgetMoved makes a database say that nothing has been moved into it, as it does until
// the last transaction of a move.
func ForgetMoved(path string) error {
	db, err := bolt.Open(path, 0o600, diskfile.BoltOptions())
	if err != nil {
		return err
	}
	return errors.Join(db.Update(func(tx *bolt.Tx) error { return recordsOf(tx, time.Now()).setMoved(0) }), db.Close())
}

// Unbegin makes a database one whose log files have yet to be made.
func Unbegin(path string) error {
	db, err := bolt.Open(path, 0o600, diskfile.BoltOptions())
	if err != nil {
		return err
	}
	return errors.Join(db.Update(func(tx *bolt.Tx) error {
		about := tx.Bucket(bucketFormat)
		return errors.Join(about.Delete(keyMoved), about.Delete(keyClosed))
	}), db.Close())
}

// Replies counts the replies in the database; -1: it has no bucket for them.
func (s *Store) Replies() (n int) {
	_ = s.checkpointer.db.View(func(tx *bolt.Tx) error {
		if n = -1; tx.Bucket(bucketReplies) != nil {
			n = tx.Bucket(bucketReplies).Stats().KeyN
		}
		return nil
	})
	return n
}

// BatchWithReply is a batch of one event with what its app replied.
func BatchWithReply(number uint64, ev dedupe.Event, reply dedupe.Reply) []byte {
	b := batch{number: number, time: 1, changes: []change{{event: ev, expires: 2, status: 200, reply: reply.Pack()}}}
	return b.encode(nil)
}

// BatchWithIDText is a batch of one event with its ID's text and what its app replied.
func BatchWithIDText(number uint64, ev dedupe.Event, text string, reply dedupe.Reply) []byte {
	b := batch{number: number, time: 1, changes: []change{{event: ev, expires: 2, status: 200, reply: reply.Pack(), idText: text}}}
	return b.encode(nil)
}

// WithHooks has functions called when a checkpoint begins, and when the database has it.
func (o Options) WithHooks(moving, moved func()) Options {
	o.moving, o.moved = moving, moved
	return o
}

// PathOf is the path of a log file.
func PathOf(f LogFile) string { return f.(diskfile.Synced).Name() }

// Crash ends the store as it stands: nothing is moved any more, and the lock is gone.
func (s *Store) Crash(tb testing.TB) {
	tb.Helper()
	s.checkpointer.take(diskfile.ErrDamaged) // so that nothing is moved, and writes are refused
	s.claims.close()
	s.writer.queue.close()
	<-s.writer.ended
	if s.checkpointer.running != nil {
		if err := <-s.checkpointer.running; err != nil {
			tb.Logf("the checkpoint: %v", err)
		}
	}
	if err := errors.Join(s.log.close(), s.checkpointer.db.Close(), s.log.dir.Close()); err != nil {
		tb.Fatal(err)
	}
}
