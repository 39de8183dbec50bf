package disk

import (
	"errors"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// JournalFile is what a journal writes to.
type JournalFile = journalFile

// WithJournals sets the size of the journals, where it is not zero, and what stands
// between them and their files.
func (o Options) WithJournals(size int64, wrap func(JournalFile) JournalFile) Options {
	o.journalSize, o.wrapJournal = size, wrap
	return o
}

// Records counts the keys in the file or in its index, whichever has more; those whose
// time is over too.
func (d *Store) Records() (n int) {
	_ = d.db.View(func(tx *bolt.Tx) error {
		n = max(tx.Bucket(bucketDone).Stats().KeyN, tx.Bucket(bucketExpiry).Stats().KeyN)
		return nil
	})
	return n
}

// Recent counts the keys that the file does not have yet.
func (d *Store) Recent() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.recent) + len(d.moving)
}

// Syncs reports whether a transaction is on the disk when it returns. No test can pull
// the plug.
func (d *Store) Syncs() bool { return !d.db.NoSync && !d.db.NoGrowSync }

// Queued is how many writes wait for the writer to take them.
func (d *Store) Queued() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue)
}

// SetPatience sets how long callers wait for the disk.
func (d *Store) SetPatience(p time.Duration) { d.patience = p }

// ReadJournal returns the numbers of the batches in a journal and the keys they finish.
func ReadJournal(data []byte, moved uint64) (numbers []uint64, keys []dedupe.Key, err error) {
	run, err := readJournal(data, moved)
	for _, b := range run {
		numbers = append(numbers, b.number)
		for _, c := range b.changes {
			keys = append(keys, c.event.ID)
		}
	}
	return numbers, keys, err
}

// Rewritten is what the batches of a journal look like when they are written again.
func Rewritten(data []byte, moved uint64) (again []byte) {
	run, _ := readJournal(data, moved)
	for _, b := range run {
		again = b.append(again)
	}
	return again
}

// Batch is a batch as it stands in a journal.
func Batch(number uint64, events ...dedupe.Event) []byte {
	b := batch{number: number, time: 1}
	for _, ev := range events {
		b.changes = append(b.changes, change{event: ev, expires: 2, status: 200})
	}
	return b.append(nil)
}

// HoldFile keeps everybody from writing to the file, as a disk that hangs does.
func (d *Store) HoldFile(tb testing.TB) (release func()) {
	tb.Helper()
	tx, err := d.db.Begin(true)
	if err != nil {
		tb.Fatal(err)
	}
	return sync.OnceFunc(func() { _ = tx.Rollback() })
}

// AwaitMoves returns when no move is under way.
func (d *Store) AwaitMoves() {
	for moving := true; moving; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		moving = d.moving != nil
		d.mu.Unlock()
	}
}

// Unmoved makes a file say that nothing has been moved into it.
func Unmoved(path string) error {
	db, err := bolt.Open(path, 0o600, boltOptions())
	if err != nil {
		return err
	}
	return errors.Join(db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketFormat).Delete(keyMoved) }), db.Close())
}
