package disk

import (
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile"
)

const (
	// checkpointEvery is how long the database may lag behind the log. A log file that is
	// full is moved at once.
	checkpointEvery = time.Minute
	// checkpointBatch is how many keys a transaction takes. Keys are in order, so that each
	// transaction has pages of its own to write; many together share theirs.
	checkpointBatch = 8192
	// reclaimBatch is how many expired records a transaction removes at least, as long as
	// there are so many.
	reclaimBatch = 2000
)

// checkpointer holds the records of finished events: the database, and above it what the
// log has and the database lacks. It moves a log file that is full into the database.
//
// The writer's goroutine drives it. A checkpoint itself runs in a goroutine of its own,
// which touches nothing but the database and a map that no longer changes.
type checkpointer struct {
	db *database

	moving, moved func() // for tests; nil: nothing is called

	// For Open and the writer's goroutine only.
	done    uint64     // number of the last batch that is in the database
	target  uint64     // number of the last batch in flushing
	running chan error // receives the result of the checkpoint that is under way; else nil

	// mu guards what follows. Only the writer's goroutine changes the maps, so it may
	// read them without.
	mu       sync.Mutex
	active   map[dedupe.Key]finished // records of the active log file
	flushing map[dedupe.Key]finished // on their way from the other one into the database; nil: none are
	damage   error                   // why the database must not be used any more; else nil
}

// view looks at the records as they stand.
func (c *checkpointer) view(look func(records) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.damage != nil {
		return c.damage
	}
	err := c.db.read(look)
	c.noteDamage(err)
	return err
}

// latest returns the newest record of k, whether or not its time is over. It needs mu,
// or the writer's goroutine.
func (c *checkpointer) latest(r records, k dedupe.Key) (finished, error) {
	if f, ok := c.active[k]; ok {
		return f, nil
	}
	if f, ok := c.flushing[k]; ok {
		return f, nil
	}
	return r.stored(k)
}

// publish shows the records of a batch to every call, once it is on the disk. Where err
// says that it is not, it only takes note of damage.
func (c *checkpointer) publish(pending map[dedupe.Key]finished, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		maps.Copy(c.active, pending)
	}
	c.noteDamage(err)
}

// damageFound returns why the database must not be used any more, or nil.
func (c *checkpointer) damageFound() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.damage
}

func (c *checkpointer) damaged() bool { return c.damageFound() != nil }

// take notes what an error says of damage.
func (c *checkpointer) take(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noteDamage(err)
}

// noteDamage keeps everybody from a database that has turned out to make no sense: the
// library may have been left in any state. It needs mu.
func (c *checkpointer) noteDamage(err error) {
	if errors.Is(err, diskfile.ErrDamaged) {
		c.damage = err
	}
}

// begin moves the records of the active log file, which end with the batch upTo. None may
// be on their way already.
func (c *checkpointer) begin(upTo uint64) {
	c.mu.Lock()
	c.active, c.flushing = make(map[dedupe.Key]finished), c.active
	c.mu.Unlock()
	c.target = upTo
	c.start()
}

// start runs a checkpoint in the background. Without records to move it only reclaims
// what has expired.
func (c *checkpointer) start() {
	result := make(chan error, 1)
	c.running = result
	from, upTo := c.flushing, c.done
	if from != nil {
		upTo = c.target
	}
	go func() {
		if c.moving != nil {
			c.moving()
		}
		err := c.db.move(from, upTo)
		if c.moved != nil {
			c.moved()
		}
		result <- err
	}()
}

// finish takes note of the result of a checkpoint.
func (c *checkpointer) finish(err error) error {
	c.running = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.noteDamage(err)
	case c.flushing != nil:
		c.flushing, c.done = nil, c.target
	}
	return err
}

// wait returns when no records are left to be moved. It runs a checkpoint that failed
// once more, and returns its error where it fails again.
func (c *checkpointer) wait() error {
	if c.running != nil {
		if err := c.finish(<-c.running); err != nil && c.flushing != nil {
			return err
		}
	}
	if c.flushing == nil {
		return nil
	}
	c.start()
	return c.finish(<-c.running)
}

// worthReclaiming reports whether enough has expired for a transaction of its own. While
// the log has records to move there will be a transaction anyway, so that takes more.
func (c *checkpointer) worthReclaiming(logEmpty bool) (worth bool) {
	enough := reclaimBatch
	if logEmpty {
		enough = 1
	}
	err := c.db.read(func(r records) error {
		worth = len(r.over(enough)) == enough
		return nil
	})
	return worth && err == nil
}
