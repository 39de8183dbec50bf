package caddymodule

import (
	"sync"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

const (
	// mostRecent bounds the IDs that one process keeps to name them.
	mostRecent = 4096
	// longestRecent is the longest ID that is kept, in bytes.
	longestRecent = 256
)

// recentIDs knows the IDs of the latest finished events by the keys of their content. The
// store keeps digests only, and a duplicate that was recognised by its content came with
// another ID than the event: logs and `lookup` name the event's.
type recentIDs struct {
	mu    sync.Mutex
	byKey map[dedupe.Key]string
	order []dedupe.Key // a ring
	next  int
}

// remember notes the ID of a finished event, in the place of the oldest.
func (r *recentIDs) remember(key dedupe.Key, id string) {
	if key.IsZero() || id == "" || len(id) > longestRecent {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byKey == nil {
		r.byKey, r.order = make(map[dedupe.Key]string), make([]dedupe.Key, mostRecent)
	}
	if _, known := r.byKey[key]; !known {
		delete(r.byKey, r.order[r.next])
		r.order[r.next] = key
		r.next = (r.next + 1) % mostRecent
	}
	r.byKey[key] = id
}

// of returns the ID of the event with this key, or "" where it is not among the latest.
func (r *recentIDs) of(key dedupe.Key) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byKey[key]
}
