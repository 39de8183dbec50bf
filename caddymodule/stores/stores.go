// Package stores has the event stores that a configuration can name, as guest modules of
// the namespace webhook_guard.stores.
package stores

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Module is a guest module of the namespace webhook_guard.stores: the options of a store.
// It may also be a [Placer]. The store that it opens may also be a [dedupe.Warner]. Its
// errors need not name the store; whoever calls it adds the name.
type Module interface {
	caddy.Module

	// PoolKey names the store that the options describe. A store whose key is the same
	// before and after a reload of the configuration stays open. The key holds no secret.
	PoolKey() string

	// Open opens the store. It does not touch the network.
	Open() (dedupe.Store, error)

	// Adopt takes over a store that is open already, and gives it those of the options
	// that are not part of the key.
	Adopt(dedupe.Store)
}

// Inboxer is implemented by modules whose store can keep events until the app takes them.
type Inboxer interface {
	// Inboxes returns the inboxes of a store that Open has returned. It does not touch the
	// network. They are closed before the store.
	Inboxes(dedupe.Store) (inbox.Store, error)
}

// Placer is implemented by modules whose store is in a place that the log can name.
type Placer interface {
	// Place returns where the events are, a directory or an address, without credentials.
	Place() string
}
