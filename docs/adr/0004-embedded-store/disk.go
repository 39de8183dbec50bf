package stores

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
)

// store is what the comparison asks of a database.
type store interface {
	commit(ev dedupe.Event, ttl time.Duration) error
	known(k dedupe.Key) (bool, error)
	close() error
}

// diskStore is bbolt, as the gateway uses it.
type diskStore struct{ *disk.Store }

func openDisk(dir string) (store, error) {
	d, err := disk.Open(disk.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	return diskStore{d}, nil
}

func (d diskStore) commit(ev dedupe.Event, ttl time.Duration) error {
	return d.Commit(context.Background(), ev, dedupe.Success{Status: 200}, ttl)
}

func (d diskStore) known(k dedupe.Key) (bool, error) {
	rec, err := d.Lookup(context.Background(), k)
	return rec.State == dedupe.Done, err
}

func (d diskStore) close() error { return d.Close() }

// record is what disk.Store stores of a key.
func record(ev dedupe.Event, k dedupe.Key, expires int64) []byte {
	value := binary.BigEndian.AppendUint64(nil, uint64(expires))
	value = binary.BigEndian.AppendUint16(value, 200)
	if k == ev.ID {
		value = append(value, ev.Content[:]...)
	}
	return value
}
