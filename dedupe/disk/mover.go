package disk

import (
	"fmt"
	"maps"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

const (
	// moveEvery is how long the file may lag behind the journals. One that is full is
	// moved at once.
	moveEvery = time.Minute
	// moveBatch is how many keys a transaction takes. Keys are in order, so that each
	// transaction has pages of its own to write; many together share theirs.
	moveBatch = 8192
	// upkeepBatch is how many expired records a transaction removes at least, as long as
	// there are so many.
	upkeepBatch = 2000
)

// turn goes on in the other journal, once that one is free, and has the mover take what
// this one holds. The writer calls it.
func (d *Store) turn() error {
	if err := d.awaitMove(); err != nil {
		return err
	}
	d.journals[0], d.journals[1] = d.journals[1], d.journals[0]
	d.journals[0].at = journalStart
	if d.number-1 == d.moved {
		return nil
	}
	d.mu.Lock()
	d.recent, d.moving = make(map[dedupe.Key]finished), d.recent
	d.mu.Unlock()
	d.moveTo = d.number - 1
	d.startMove()
	return nil
}

// startMove moves in the background what is to be moved, and in any case reclaims what
// has expired.
func (d *Store) startMove() {
	ended := make(chan error, 1)
	d.moveEnded = ended
	from, to := d.moving, d.moved
	if from != nil {
		to = d.moveTo
	}
	go func() { ended <- d.move(from, to) }()
}

// endMove takes note of how a move has ended.
func (d *Store) endMove(err error) error {
	d.moveEnded = nil
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil:
		d.markDamaged(err)
	case d.moving != nil:
		d.moving, d.moved = nil, d.moveTo
	}
	return err
}

// awaitMove returns when nothing is left to be moved, or cannot be.
func (d *Store) awaitMove() error {
	if d.moveEnded != nil {
		if err := d.endMove(<-d.moveEnded); err != nil && d.moving != nil {
			return err
		}
	}
	if d.moving == nil {
		return nil
	}
	d.startMove() // it has failed before
	return d.endMove(<-d.moveEnded)
}

// moveAll empties the journals.
func (d *Store) moveAll() error {
	if err := d.turn(); err != nil {
		return err
	}
	return d.awaitMove()
}

// move brings the file up to a batch. Until the last of its transactions the file still
// says that nothing has been moved, and to repeat those before does no harm.
func (d *Store) move(from map[dedupe.Key]finished, to uint64) error {
	keys := slices.SortedFunc(maps.Keys(from), compareKeys)
	for {
		some := keys[:min(len(keys), moveBatch)]
		keys = keys[len(some):]
		err := guarded(func() error {
			return d.db.Update(func(tx *bolt.Tx) error {
				r := recordsOf(tx, d.now())
				if err := r.put(some, from); err != nil {
					return err
				}
				if len(keys) == 0 {
					if err := r.setMoved(to); err != nil {
						return err
					}
				}
				return r.reclaim(max(upkeepBatch, 2*len(some)))
			})
		})
		if err != nil {
			return fmt.Errorf("%s: %w", d.path, err)
		}
		if len(keys) == 0 {
			return nil
		}
	}
}

// keepUp does what is due in the background, if nothing is under way.
func (d *Store) keepUp() {
	switch {
	case d.moveEnded != nil || d.isDamaged():
	case d.moving != nil:
		d.startMove() // it has failed before
	case d.number-1 > d.moved && d.elapsed()-d.since >= moveEvery:
		_ = d.turn() // nothing is being moved, so it has nothing to fail by
	case d.muchIsOver():
		d.startMove()
	}
}

// muchIsOver reports whether there is enough to reclaim for a transaction of its own.
// With less than that there will be one anyway, as long as there is something to move.
func (d *Store) muchIsOver() (much bool) {
	enough := upkeepBatch
	if d.number-1 == d.moved {
		enough = 1
	}
	err := d.read(func(r records) error {
		much = len(r.over(enough)) == enough
		return nil
	})
	return much && err == nil
}
