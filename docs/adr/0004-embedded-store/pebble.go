package stores

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// pebbleStore has no time to live, so it keeps the same index of expiries as
// disk.Store. Records and index are told apart by their first byte. Concurrent
// commits share the syncs of its log by themselves.
type pebbleStore struct{ db *pebble.DB }

type noLog struct{}

func (noLog) Infof(string, ...any)  {}
func (noLog) Errorf(string, ...any) {}
func (noLog) Fatalf(format string, _ ...any) {
	panic(format)
}

func openPebble(dir string) (store, error) {
	db, err := pebble.Open(dir, &pebble.Options{Logger: noLog{}})
	if err != nil {
		return nil, err
	}
	return pebbleStore{db}, nil
}

func (p pebbleStore) commit(ev dedupe.Event, ttl time.Duration) error {
	batch := p.db.NewBatch()
	expires := time.Now().Add(ttl).UnixMilli()
	for _, k := range []dedupe.Key{ev.Content, ev.ID} {
		if known, err := p.known(k); err != nil || known {
			return errors.Join(err, batch.Close())
		}
		if err := batch.Set(append([]byte{'d'}, k[:]...), record(ev, k, expires), nil); err != nil {
			return err
		}
		index := append(binary.BigEndian.AppendUint64([]byte{'e'}, uint64(expires)), k[:]...)
		if err := batch.Set(index, nil, nil); err != nil {
			return err
		}
	}
	return batch.Commit(pebble.Sync)
}

func (p pebbleStore) known(k dedupe.Key) (bool, error) {
	_, closer, err := p.db.Get(append([]byte{'d'}, k[:]...))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}

func (p pebbleStore) close() error { return p.db.Close() }
