package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile"
)

// The database has two buckets, all numbers in them big-endian:
//
//	about    "format" → "2", "store" → the store's ID (16 bytes),
//	         "moved" → segment, offset, number, time of the last batch that is in here (8 bytes each)
//	inboxes  name of an inbox → a bucket:
//	           "paused" → "1", where it is
//	           "events"   key → entry, texts
//	           "order"    kind (1), when it was settled (8), key → nothing; of dead and done events
//	           "attempts" key → attempts, where there are some
//	           "ids"      digest of the ID (8), key → nothing; of all events that have one
//	           "accepted" kind (1), group (8), when it was accepted (8), key → nothing; of dead
//	                      and done events, once for each of their groups
var (
	bucketAbout   = []byte("about")
	bucketInboxes = []byte("inboxes")

	keyFormat = []byte("format")
	keyStore  = []byte("store")
	keyMoved  = []byte("moved")
	format    = []byte("2")

	keyPaused      = []byte("paused")
	bucketEvents   = []byte("events")
	bucketOrder    = []byte("order")
	bucketAttempts = []byte("attempts")
	bucketIDs      = []byte("ids")
	bucketAccepted = []byte("accepted")
)

var errNotOurs = errors.New("the file is not an inbox of this version")

// position is how far the database has the log.
type position struct {
	segment, at, number uint64
	time                int64
}

func (p position) encode() []byte {
	to := make([]byte, 0, 32)
	for _, n := range []uint64{p.segment, p.at, p.number, uint64(p.time)} {
		to = binary.BigEndian.AppendUint64(to, n)
	}
	return to
}

func decodePosition(value []byte) (p position) {
	d := decoder{rest: value}
	return position{d.uint64(), d.uint64(), d.uint64(), int64(d.uint64())}
}

// makeBuckets prepares a new database.
func makeBuckets(tx *bolt.Tx) error {
	about, err := tx.CreateBucket(bucketAbout)
	if err != nil {
		return err
	}
	_, err = tx.CreateBucket(bucketInboxes)
	id := newStoreID()
	return errors.Join(err, about.Put(keyFormat, format), about.Put(keyStore, id[:]), about.Put(keyMoved, position{}.encode()))
}

// checkBuckets refuses a database that is none of ours, and reads all of one that is.
func checkBuckets(tx *bolt.Tx) error {
	about, inboxes := tx.Bucket(bucketAbout), tx.Bucket(bucketInboxes)
	if err := diskfile.CheckFormat(about, keyFormat, format); err != nil {
		return err
	}
	if about == nil || inboxes == nil || about.Get(keyFormat) == nil || len(about.Get(keyStore)) != len(storeID{}) || len(about.Get(keyMoved)) != 32 {
		return errNotOurs
	}
	return inboxes.ForEachBucket(func(name []byte) error {
		r := recordsOf(tx, string(name))
		if inbox.CheckName(string(name)) != nil || r.events == nil || r.order == nil || r.attempts == nil || r.ids == nil || r.accepted == nil {
			return fmt.Errorf("%w: an inbox makes no sense", diskfile.ErrDamaged)
		}
		return r.events.ForEach(func(k, v []byte) error {
			if len(k) != len(inbox.Key{}) {
				return fmt.Errorf("%w: a key makes no sense", diskfile.ErrDamaged)
			}
			_, _, err := decodeRecord(inbox.Key(k), v)
			return err
		})
	})
}

// records are the events of an inbox in the database, as one transaction sees them. All is
// nil where it has none.
type records struct {
	inbox, events, order, attempts, ids, accepted *bolt.Bucket
}

func recordsOf(tx *bolt.Tx, name string) (r records) {
	if r.inbox = tx.Bucket(bucketInboxes).Bucket([]byte(name)); r.inbox != nil {
		r.events, r.order, r.attempts = r.inbox.Bucket(bucketEvents), r.inbox.Bucket(bucketOrder), r.inbox.Bucket(bucketAttempts)
		r.ids, r.accepted = r.inbox.Bucket(bucketIDs), r.inbox.Bucket(bucketAccepted)
	}
	return r
}

func decodeRecord(k inbox.Key, value []byte) (*entry, *meta, error) {
	d := decoder{rest: value}
	e, m := d.entry(k), d.meta()
	e.typed = typeSum(m.kind)
	if d.failed || len(d.rest) > 0 {
		return nil, nil, fmt.Errorf("%w: a record makes no sense", diskfile.ErrDamaged)
	}
	return e, m, nil
}

// get returns an event; nil where the database does not have it.
func (r records) get(k inbox.Key) (*entry, *meta, error) {
	if r.events == nil {
		return nil, nil, nil
	}
	value := r.events.Get(k[:])
	if value == nil {
		return nil, nil, nil
	}
	return decodeRecord(k, value)
}

func (r records) attemptsOf(k inbox.Key) []inbox.Attempt {
	if r.attempts == nil {
		return nil
	}
	d := decoder{rest: r.attempts.Get(k[:])}
	return d.attempts()
}

func orderKey(e *entry) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{byte(e.kind)}, uint64(e.at)), e.key[:]...)
}

// put writes an event as it is.
func (r records) put(e *entry) error {
	old, m, err := r.get(e.key)
	if err != nil {
		return err
	}
	listed := old != nil && listedAlike(old, e)
	if old != nil && !listed {
		if err := unlist(r, old, m, e); err != nil {
			return err
		}
	}
	if e.kind == removed {
		return errors.Join(r.events.Delete(e.key[:]), r.attempts.Delete(e.key[:]))
	}
	if e.meta != nil {
		m = e.meta
	}
	if m == nil {
		return fmt.Errorf("%w: an event has no texts", diskfile.ErrDamaged)
	}
	if err := r.events.Put(e.key[:], m.encode(e.encode(nil))); err != nil {
		return err
	}
	if !listed {
		if err := list(r, e, m); err != nil {
			return err
		}
	}
	return r.putAttempts(e, e.meta != nil)
}

// putAttempts adds the last attempts to those that are there, which a fresh event has none
// of: they are those of one that was removed.
func (r records) putAttempts(e *entry, fresh bool) error {
	var all []inbox.Attempt
	if !fresh {
		if len(e.tail) == 0 {
			return nil
		}
		all = r.attemptsOf(e.key)
	}
	for _, a := range e.tail {
		all = inbox.Remember(all, a)
	}
	if len(all) == 0 {
		return r.attempts.Delete(e.key[:])
	}
	var value []byte
	for _, a := range all {
		value = encodeAttempt(value, a)
	}
	return r.attempts.Put(e.key[:], value)
}

// flush brings the database up to a position, in one transaction.
func flush(tx *bolt.Tx, boxes []flushedBox, to position) error {
	for _, b := range boxes {
		in, err := tx.Bucket(bucketInboxes).CreateBucketIfNotExists([]byte(b.name))
		if err != nil {
			return err
		}
		for _, name := range [][]byte{bucketEvents, bucketOrder, bucketAttempts, bucketIDs, bucketAccepted} {
			if _, err := in.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		if b.paused {
			err = in.Put(keyPaused, []byte("1"))
		} else {
			err = in.Delete(keyPaused)
		}
		if err != nil {
			return err
		}
		r := recordsOf(tx, b.name)
		for _, e := range b.sorted() {
			if err := r.put(e); err != nil {
				return err
			}
		}
	}
	return tx.Bucket(bucketAbout).Put(keyMoved, to.encode())
}

// flushedBox is what of an inbox is on its way into the database.
type flushedBox struct {
	name    string
	paused  bool
	entries map[inbox.Key]*entry // nobody changes it
}

// sorted returns the entries page by page.
func (b flushedBox) sorted() []*entry {
	all := make([]*entry, 0, len(b.entries))
	for _, e := range b.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return bytes.Compare(a.key[:], b.key[:]) })
	return all
}
