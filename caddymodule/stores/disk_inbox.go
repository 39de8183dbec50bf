package stores

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/disk"
)

// diskInboxes opens its directory when the first inbox is used, so that there is none
// without one.
type diskInboxes struct {
	dir string

	mu     sync.Mutex
	store  *disk.Store // nil until it is opened
	closed bool
}

func (i *diskInboxes) open() (*disk.Store, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, inbox.ErrClosed
	}
	if i.store == nil {
		store, err := disk.Open(disk.Options{Dir: i.dir})
		if err != nil {
			return nil, err
		}
		i.store = store
	}
	return i.store, nil
}

// Queue implements [inbox.Store].
func (i *diskInboxes) Queue(name string, o inbox.Options) (inbox.Queue, error) {
	store, err := i.open()
	if err != nil {
		return nil, err
	}
	return store.Queue(name, o)
}

// Names implements [inbox.Store].
func (i *diskInboxes) Names(ctx context.Context) ([]string, error) {
	if _, err := os.Stat(i.dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	store, err := i.open()
	if err != nil {
		return nil, err
	}
	return store.Names(ctx)
}

// Close implements [inbox.Store].
func (i *diskInboxes) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	if i.store == nil {
		return nil
	}
	return i.store.Close()
}

var _ inbox.Store = (*diskInboxes)(nil)
