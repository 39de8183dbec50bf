package caddymodule

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

func init() {
	caddy.RegisterModule((*MemoryStore)(nil))
}

// MemoryStore remembers events in this process. It survives reloads of the
// configuration, but not the end of the process: an event that was handled
// before a restart is forwarded again if its sender sends it again.
type MemoryStore struct {
	// The bound on keys held; an event has one or two. Each takes about 95
	// bytes of memory, whatever its ID is. At the bound new events get 503,
	// since dropping a key would let a duplicate through. A warning is logged
	// at 80%. Default: 1000000, or about 95 MB.
	MaxEntries int `json:"max_entries,omitempty"`
}

// CaddyModule implements caddy.Module.
func (*MemoryStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "webhook_guard.stores.memory",
		New: func() caddy.Module { return new(MemoryStore) },
	}
}

// Validate implements caddy.Validator: JSON can say what the line cannot.
func (m *MemoryStore) Validate() error {
	if m.MaxEntries < 0 {
		return fmt.Errorf("memory: max_entries: %d is not positive", m.MaxEntries)
	}
	return nil
}

// PoolKey implements StoreModule: a process has one such store.
func (*MemoryStore) PoolKey() string { return "memory" }

// Open implements StoreModule.
func (m *MemoryStore) Open() (dedupe.Store, error) {
	return dedupe.NewMemory(dedupe.MemoryOptions{MaxEntries: m.MaxEntries, Warn: warnOfRoom}), nil
}

// Adopt implements StoreModule.
func (m *MemoryStore) Adopt(store dedupe.Store) {
	store.(*dedupe.Memory).SetMaxEntries(m.MaxEntries)
}

// warnOfRoom uses the process's logger: the store outlives every configuration.
func warnOfRoom(entries, most int) {
	caddy.Log().Named("webhook_guard.stores.memory").Warn(
		"the memory store is filling up; when it is full, new events get 503: raise max_entries, or use store disk or store redis",
		zap.Int("entries", entries), zap.Int("max_entries", most))
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens:
//
//	memory {
//		max_entries <count>
//	}
func (m *MemoryStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return eachLine(d, func(name string) error {
		if name != "max_entries" {
			return d.Errf("unknown line %q of store memory: there is max_entries <count>", name)
		}
		return parseCount(d, &m.MaxEntries)
	})
}

var (
	_ StoreModule           = (*MemoryStore)(nil)
	_ caddy.Validator       = (*MemoryStore)(nil)
	_ caddyfile.Unmarshaler = (*MemoryStore)(nil)
)
