package dedupe

import (
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Records counts the keys in the file or in its index, whichever has more; those whose
// time is over too.
func (d *Disk) Records() (n int) {
	_ = d.db.View(func(tx *bolt.Tx) error {
		n = max(tx.Bucket(bucketDone).Stats().KeyN, tx.Bucket(bucketExpiry).Stats().KeyN)
		return nil
	})
	return n
}

// Transactions is the number of the last transaction that changed the file.
func (d *Disk) Transactions() (n int) {
	_ = d.db.View(func(tx *bolt.Tx) error {
		n = tx.ID()
		return nil
	})
	return n
}

// Syncs reports whether a transaction is on the disk when it returns. No test can pull
// the plug.
func (d *Disk) Syncs() bool { return !d.db.NoSync && !d.db.NoGrowSync }

// HoldWriter keeps the writer in a transaction of its own, as a disk that hangs does:
// what is written meanwhile queues.
func (d *Disk) HoldWriter() (release func()) {
	entered, let := make(chan struct{}), make(chan struct{})
	hold := &diskWrite{done: make(chan struct{}), apply: func(records) error {
		close(entered)
		<-let
		return nil
	}}
	d.mu.Lock()
	d.queue = append(d.queue, hold)
	d.mu.Unlock()
	d.signal()
	<-entered
	return sync.OnceFunc(func() { close(let) })
}

// Queued is how many writes wait for the writer to take them.
func (d *Disk) Queued() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue)
}

// SetPatience sets how long callers wait for the disk.
func (d *Disk) SetPatience(p time.Duration) { d.patience = p }
