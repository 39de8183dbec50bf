package dedupe

import (
	"time"

	bolt "go.etcd.io/bbolt"
)

// JournalFile is what a journal writes to.
type JournalFile = journalFile

// WithJournals sets the size of the journals, where it is not zero, and what stands
// between them and their files.
func (o DiskOptions) WithJournals(size int64, wrap func(JournalFile) JournalFile) DiskOptions {
	o.journalSize, o.wrapJournal = size, wrap
	return o
}

// Records counts the keys in the file or in its index, whichever has more; those whose
// time is over too.
func (d *Disk) Records() (n int) {
	_ = d.db.View(func(tx *bolt.Tx) error {
		n = max(tx.Bucket(bucketDone).Stats().KeyN, tx.Bucket(bucketExpiry).Stats().KeyN)
		return nil
	})
	return n
}

// Recent counts the keys that the file does not have yet.
func (d *Disk) Recent() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.recent) + len(d.moving)
}

// Syncs reports whether a transaction is on the disk when it returns. No test can pull
// the plug.
func (d *Disk) Syncs() bool { return !d.db.NoSync && !d.db.NoGrowSync }

// Queued is how many writes wait for the writer to take them.
func (d *Disk) Queued() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue)
}

// SetPatience sets how long callers wait for the disk.
func (d *Disk) SetPatience(p time.Duration) { d.patience = p }

// ReadJournal returns the numbers of the batches in a journal and the keys they finish.
func ReadJournal(data []byte, moved uint64) (numbers []uint64, keys []Key, err error) {
	run, err := readJournal(data, moved)
	for _, b := range run {
		numbers = append(numbers, b.number)
		for _, c := range b.changes {
			keys = append(keys, c.event.ID)
		}
	}
	return numbers, keys, err
}
