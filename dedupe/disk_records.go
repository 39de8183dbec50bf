package dedupe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// The file has three buckets, all numbers in them big-endian:
//
//	webhook_guard  "format" → "1"
//	done           key → expiry (unix ms, 8 bytes), status (2), content key (16, IDs that have one)
//	expiry         expiry (unix ms, 8 bytes), key → nothing; so the first is the next to expire
var (
	bucketFormat = []byte("webhook_guard")
	bucketDone   = []byte("done")
	bucketExpiry = []byte("expiry")

	keyFormat = []byte("format")
	format    = []byte("1")
)

var (
	errDamaged = errors.New("the file is damaged")
	errNotOurs = errors.New("the file is not an event store of this version")
)

const (
	shortRecord = 8 + 2
	longRecord  = shortRecord + len(Key{})
)

// makeBuckets prepares a new file.
func makeBuckets(tx *bolt.Tx) error {
	if tx.Bucket(bucketFormat) != nil {
		return nil
	}
	for _, name := range [][]byte{bucketFormat, bucketDone, bucketExpiry} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketFormat).Put(keyFormat, format)
}

// verifyBuckets refuses a file that is something else, and looks at all that is in one
// that is not.
func verifyBuckets(tx *bolt.Tx) error {
	if name, _ := tx.Cursor().First(); name == nil {
		return nil // it was about to be made
	}
	about, done, expiry := tx.Bucket(bucketFormat), tx.Bucket(bucketDone), tx.Bucket(bucketExpiry)
	if about == nil || done == nil || expiry == nil || string(about.Get(keyFormat)) != string(format) {
		return errNotOurs
	}
	return errors.Join(
		verifyBucket(done, func(k, v []byte) bool {
			return len(k) == len(Key{}) && (len(v) == shortRecord || len(v) == longRecord)
		}),
		verifyBucket(expiry, func(k, v []byte) bool { return len(k) == 8+len(Key{}) && len(v) == 0 }))
}

func verifyBucket(b *bolt.Bucket, sound func(k, v []byte) bool) error {
	var last []byte
	return b.ForEach(func(k, v []byte) error {
		if !sound(k, v) || bytes.Compare(last, k) >= 0 {
			return fmt.Errorf("%w: an entry makes no sense", errDamaged)
		}
		last = k
		return nil
	})
}

// records are the finished keys as one transaction sees them, at one time.
type records struct {
	done, expiry *bolt.Bucket
	now          int64 // unix ms
}

func recordsOf(tx *bolt.Tx, now time.Time) records {
	r := records{done: tx.Bucket(bucketDone), expiry: tx.Bucket(bucketExpiry), now: now.UnixMilli()}
	// Expiries come almost in order, so that pages are added at the end and, unlike
	// those of random keys, need no room for what comes in between.
	r.expiry.FillPercent = 0.9
	return r
}

// get returns the record of k, Absent where there is none or its time is over.
func (r records) get(k Key) (Record, error) {
	rec, expires, err := r.stored(k)
	if err != nil || expires <= r.now {
		return Record{}, err
	}
	rec.TTL = time.Duration(expires-r.now) * time.Millisecond
	return rec, nil
}

// stored returns what is in the file, whether or not its time is over. An expiry of 0
// means that nothing is.
func (r records) stored(k Key) (rec Record, expires int64, err error) {
	value := r.done.Get(k[:])
	switch len(value) {
	case 0:
		return Record{}, 0, nil
	case longRecord:
		rec.Content = Key(value[shortRecord:])
	case shortRecord:
	default:
		return Record{}, 0, fmt.Errorf("%w: a record has %d bytes", errDamaged, len(value))
	}
	rec.State = Done
	rec.Status = int(binary.BigEndian.Uint16(value[8:]))
	return rec, int64(binary.BigEndian.Uint64(value)), nil
}

// finish makes k finished until expires. A key that is finished already keeps its
// record, and its time is only ever lengthened.
func (r records) finish(k Key, rec Record, expires int64) error {
	old, until, err := r.stored(k)
	if err != nil {
		return err
	}
	if until > r.now {
		if expires <= until {
			return nil
		}
		rec = old
	}
	if until != 0 {
		if err := r.expiry.Delete(expiryKey(until, k)); err != nil {
			return err
		}
	}
	value := binary.BigEndian.AppendUint64(make([]byte, 0, longRecord), uint64(expires))
	value = binary.BigEndian.AppendUint16(value, uint16(rec.Status))
	if !rec.Content.IsZero() {
		value = append(value, rec.Content[:]...)
	}
	if err := r.done.Put(k[:], value); err != nil {
		return err
	}
	return r.expiry.Put(expiryKey(expires, k), nil)
}

// remove takes k out of the file, if it is there.
func (r records) remove(k Key) error {
	_, until, err := r.stored(k)
	if err != nil || until == 0 {
		return err
	}
	return errors.Join(r.expiry.Delete(expiryKey(until, k)), r.done.Delete(k[:]))
}

// reclaim removes up to limit records whose time is over, oldest first.
func (r records) reclaim(limit int) error {
	var over []Key
	c := r.expiry.Cursor()
	for k, _ := c.First(); r.isOver(k) && len(over) < limit; k, _ = c.Next() {
		over = append(over, Key(k[8:]))
	}
	for _, k := range over {
		if err := r.remove(k); err != nil {
			return err
		}
	}
	return nil
}

// anyOver reports whether there is something to reclaim.
func (r records) anyOver() bool {
	k, _ := r.expiry.Cursor().First()
	return r.isOver(k)
}

func (r records) isOver(expiryKey []byte) bool {
	return len(expiryKey) == 8+len(Key{}) && int64(binary.BigEndian.Uint64(expiryKey)) <= r.now
}

func expiryKey(expires int64, k Key) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(k)), uint64(expires)), k[:]...)
}
