package stores

import (
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// badgerStore leaves expiry to the database's own time to live.
type badgerStore struct{ db *badger.DB }

func openBadger(dir string) (store, error) {
	db, err := badger.Open(badger.DefaultOptions(dir).WithSyncWrites(true).WithLogger(nil))
	if err != nil {
		return nil, err
	}
	return badgerStore{db}, nil
}

func (b badgerStore) commit(ev dedupe.Event, ttl time.Duration) error {
	return b.db.Update(func(tx *badger.Txn) error {
		expires := time.Now().Add(ttl).UnixMilli()
		for _, k := range []dedupe.Key{ev.Content, ev.ID} {
			if _, err := tx.Get(k[:]); !errors.Is(err, badger.ErrKeyNotFound) {
				return err
			}
			if err := tx.SetEntry(badger.NewEntry(k[:], record(ev, k, expires)).WithTTL(ttl)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b badgerStore) known(k dedupe.Key) (known bool, err error) {
	err = b.db.View(func(tx *badger.Txn) error {
		_, err := tx.Get(k[:])
		known = err == nil
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		return err
	})
	return known, err
}

func (b badgerStore) close() error { return b.db.Close() }
