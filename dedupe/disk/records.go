package disk

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile"
)

// The database has three buckets, all numbers in them big-endian:
//
//	webhook_guard  "format" → "1"
//	               "moved"  → number of the last batch of the log that is in here (8 bytes)
//	               "store"  → what the log files of this store have in their first page (16 bytes)
//	               "closed" → "moved", as a clean end left it; else not there (8 bytes)
//	done           key → expiry (unix ms, 8 bytes), status (2), content key (16, IDs that have one);
//	               or expiry, status with its highest bit set, text of the ID (content keys that have one)
//	expiry         expiry (unix ms, 8 bytes), key → nothing; so the first is the next to expire
//	replies        key → what the app replied, packed; only there where some are remembered
var (
	bucketFormat  = []byte("webhook_guard")
	bucketDone    = []byte("done")
	bucketExpiry  = []byte("expiry")
	bucketReplies = []byte("replies")

	keyFormat = []byte("format")
	keyMoved  = []byte("moved")
	keyStore  = []byte("store")
	keyClosed = []byte("closed")
	format    = []byte("1")
)

var (
	errNotOurs = errors.New("the file is not an event store of this version")
)

const (
	shortRecord = 8 + 2
	longRecord  = shortRecord + len(dedupe.Key{})
	// namedBit in a status says that the text of an ID follows.
	namedBit = 1 << 15
)

// makeBuckets prepares a new database.
func makeBuckets(tx *bolt.Tx) error {
	if tx.Bucket(bucketFormat) != nil {
		return nil
	}
	for _, name := range [][]byte{bucketFormat, bucketDone, bucketExpiry} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	about, id := tx.Bucket(bucketFormat), newStoreID()
	return errors.Join(about.Put(keyFormat, format), about.Put(keyStore, id[:]))
}

// verifyBuckets refuses a database that is no store, and reads all of one that is.
func verifyBuckets(tx *bolt.Tx) error {
	about, done, expiry := tx.Bucket(bucketFormat), tx.Bucket(bucketDone), tx.Bucket(bucketExpiry)
	if err := diskfile.CheckFormat(about, keyFormat, format); err != nil {
		return err
	}
	if about == nil || done == nil || expiry == nil || about.Get(keyFormat) == nil {
		return errNotOurs
	}
	if replies := tx.Bucket(bucketReplies); replies != nil {
		err := verifyBucket(replies, func(k, v []byte) bool {
			_, ok := dedupe.UnpackReply(string(v))
			return len(k) == len(dedupe.Key{}) && ok && len(v) > 0
		})
		if err != nil {
			return err
		}
	}
	return errors.Join(
		verifyBucket(done, func(k, v []byte) bool { return len(k) == len(dedupe.Key{}) && soundRecord(v) }),
		verifyBucket(expiry, func(k, v []byte) bool { return len(k) == 8+len(dedupe.Key{}) && len(v) == 0 }))
}

func soundRecord(v []byte) bool {
	switch {
	case len(v) < shortRecord:
		return false
	case v[8]&(namedBit>>8) != 0:
		return len(v) > shortRecord && len(v) <= shortRecord+dedupe.MaxIDText
	}
	return len(v) == shortRecord || len(v) == longRecord
}

func verifyBucket(b *bolt.Bucket, sound func(k, v []byte) bool) error {
	var last []byte
	return b.ForEach(func(k, v []byte) error {
		if !sound(k, v) || bytes.Compare(last, k) >= 0 {
			return fmt.Errorf("%w: an entry makes no sense", diskfile.ErrDamaged)
		}
		last = k
		return nil
	})
}

// finished is what is known of a key. The zero value stands for a key that is forgotten,
// or was never known.
type finished struct {
	expires int64 // unix ms
	status  int16
	content dedupe.Key // of IDs that have one
	reply   string     // packed
	idText  string     // of content keys that have one
}

// record returns f as callers see it at a time, Absent where its time is over.
func (f finished) record(now int64) dedupe.Record {
	if f.expires <= now {
		return dedupe.Record{}
	}
	reply, _ := dedupe.UnpackReply(f.reply) // it was checked when it came in
	return dedupe.Record{
		State: dedupe.Done, Status: int(f.status), Content: f.content, Reply: reply, IDText: f.idText,
		TTL: time.Duration(f.expires-now) * time.Millisecond,
	}
}

// encode returns f as it stands in the database, but for its reply.
func (f finished) encode() []byte {
	value := binary.BigEndian.AppendUint64(make([]byte, 0, longRecord+len(f.idText)), uint64(f.expires))
	if f.idText != "" {
		value = binary.BigEndian.AppendUint16(value, uint16(f.status)|namedBit)
		return append(value, f.idText...)
	}
	value = binary.BigEndian.AppendUint16(value, uint16(f.status))
	if !f.content.IsZero() {
		value = append(value, f.content[:]...)
	}
	return value
}

// records are the finished keys as one transaction sees them, at one time.
type records struct {
	about, done, expiry *bolt.Bucket
	replies             *bolt.Bucket // nil: none are remembered
	makeReplies         func([]byte) (*bolt.Bucket, error)
	now                 int64 // unix ms
}

func recordsOf(tx *bolt.Tx, now time.Time) records {
	return records{
		about: tx.Bucket(bucketFormat), done: tx.Bucket(bucketDone), expiry: tx.Bucket(bucketExpiry),
		replies: tx.Bucket(bucketReplies), makeReplies: tx.CreateBucketIfNotExists,
		now: now.UnixMilli(),
	}
}

// stored returns what is in the database, whether or not its time is over.
func (r records) stored(k dedupe.Key) (finished, error) {
	value := r.done.Get(k[:])
	var f finished
	switch {
	case len(value) == 0:
		return f, nil
	case !soundRecord(value):
		return f, fmt.Errorf("%w: a record has %d bytes", diskfile.ErrDamaged, len(value))
	}
	f.expires = int64(binary.BigEndian.Uint64(value))
	status, more := binary.BigEndian.Uint16(value[8:]), value[shortRecord:]
	f.status = int16(status &^ namedBit)
	if status&namedBit != 0 {
		f.idText = string(more)
	} else {
		copy(f.content[:], more)
	}
	if r.replies != nil {
		f.reply = string(r.replies.Get(k[:]))
	}
	return f, nil
}

// put writes keys, which are in order, as they are in from. What has expired goes.
func (r *records) put(keys []dedupe.Key, from map[dedupe.Key]finished) error {
	// Expiries are written in order too. So they are added at the end of pages, which need
	// no room for what comes in between.
	r.expiry.FillPercent = 0.9
	expiries := make([][]byte, 0, len(keys))
	for _, k := range keys {
		f := from[k]
		if f.expires <= r.now {
			if err := r.remove(k); err != nil {
				return err
			}
			continue
		}
		old, err := r.stored(k)
		if err != nil {
			return err
		}
		if old.expires != 0 {
			if err := r.expiry.Delete(expiryKey(old.expires, k)); err != nil {
				return err
			}
		}
		if err := errors.Join(r.done.Put(k[:], f.encode()), r.putReply(k, old.reply, f.reply)); err != nil {
			return err
		}
		expiries = append(expiries, expiryKey(f.expires, k))
	}
	slices.SortFunc(expiries, bytes.Compare)
	for _, e := range expiries {
		if err := r.expiry.Put(e, nil); err != nil {
			return err
		}
	}
	return nil
}

// putReply writes the reply of k, or removes the one that it had.
func (r *records) putReply(k dedupe.Key, old, reply string) (err error) {
	switch {
	case reply == old:
		return nil
	case reply == "":
		return r.replies.Delete(k[:])
	case r.replies == nil:
		if r.replies, err = r.makeReplies(bucketReplies); err != nil {
			return err
		}
	}
	return r.replies.Put(k[:], []byte(reply))
}

// remove removes k, if it is there.
func (r records) remove(k dedupe.Key) error {
	old, err := r.stored(k)
	if err != nil || old.expires == 0 {
		return err
	}
	if old.reply != "" {
		if err := r.replies.Delete(k[:]); err != nil {
			return err
		}
	}
	return errors.Join(r.expiry.Delete(expiryKey(old.expires, k)), r.done.Delete(k[:]))
}

// reclaim removes up to limit records whose time is over, oldest first.
func (r records) reclaim(limit int) error {
	over := r.over(limit)
	slices.SortFunc(over, compareKeys) // page by page
	for _, k := range over {
		if err := r.remove(k); err != nil {
			return err
		}
	}
	return nil
}

func compareKeys(a, b dedupe.Key) int { return bytes.Compare(a[:], b[:]) }

// over returns up to limit keys whose time is over, oldest first.
func (r records) over(limit int) (keys []dedupe.Key) {
	c := r.expiry.Cursor()
	for k, _ := c.First(); r.isOver(k) && len(keys) < limit; k, _ = c.Next() {
		keys = append(keys, dedupe.Key(k[8:]))
	}
	return keys
}

func (r records) isOver(expiryKey []byte) bool {
	return len(expiryKey) == 8+len(dedupe.Key{}) && int64(binary.BigEndian.Uint64(expiryKey)) <= r.now
}

func expiryKey(expires int64, k dedupe.Key) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(k)), uint64(expires)), k[:]...)
}

// storeID is what a database and the log files that belong to it have in common. It is
// zero in what an earlier version made.
type storeID [16]byte

func newStoreID() (id storeID) {
	rand.Read(id[:]) // documented to never return an error
	return id
}

// origin is what a database says about the log files that belong to it.
type origin struct {
	store  storeID
	moved  uint64 // number of the last batch of the log that is in the database
	begun  bool   // there are log files: moved is known
	closed bool   // the database has everything, so the log files may be missing
}

func (r records) origin() (o origin) {
	copy(o.store[:], r.about.Get(keyStore))
	if value := r.about.Get(keyMoved); len(value) == 8 {
		o.moved, o.begun = binary.BigEndian.Uint64(value), true
		o.closed = bytes.Equal(r.about.Get(keyClosed), value)
	}
	return o
}

// setOpen says that log files of this store are there, and may get more than the database
// has.
func (r records) setOpen(o origin) error {
	return errors.Join(r.about.Delete(keyClosed), r.about.Put(keyStore, o.store[:]), r.setMoved(o.moved))
}

// setClosed says that the database has everything.
func (r records) setClosed(moved uint64) error {
	return r.about.Put(keyClosed, binary.BigEndian.AppendUint64(nil, moved))
}

func (r records) setMoved(to uint64) error {
	return r.about.Put(keyMoved, binary.BigEndian.AppendUint64(nil, to))
}
