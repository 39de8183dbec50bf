package stores

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/lines"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/memory"
)

func init() {
	caddy.RegisterModule((*Memory)(nil))
}

// Memory remembers events in this process. It survives reloads of the
// configuration, but not the end of the process: an event that was handled
// before a restart is forwarded again if its sender sends it again.
type Memory struct {
	// The bound on keys held; an event has one or two. Each takes about 95
	// bytes of memory. Texts of IDs and remembered answers count as another
	// key for each 100 bytes. At the bound new events get 503, since dropping
	// a key would let a duplicate through. A warning is logged at 80%.
	// Default: 1000000, or about 95 MB.
	MaxEntries int `json:"max_entries,omitempty"`
}

// CaddyModule implements caddy.Module.
func (*Memory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "webhook_guard.stores.memory",
		New: func() caddy.Module { return new(Memory) },
	}
}

// Validate implements caddy.Validator: unlike the line, JSON can hold a negative number.
func (m *Memory) Validate() error {
	if m.MaxEntries < 0 {
		return fmt.Errorf("memory: max_entries: %d is not positive", m.MaxEntries)
	}
	return nil
}

// PoolKey implements [Module]: a process has one such store.
func (*Memory) PoolKey() string { return "memory" }

// Open implements [Module].
func (m *Memory) Open() (dedupe.Store, error) {
	return memory.New(memory.Options{MaxEntries: m.MaxEntries, Warn: warnOfRoom}), nil
}

// Adopt implements [Module].
func (m *Memory) Adopt(store dedupe.Store) {
	store.(*memory.Store).SetMaxEntries(m.MaxEntries)
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
func (m *Memory) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return lines.Each(d, func(name string) error {
		if name != "max_entries" {
			return d.Errf("unknown line %q of store memory: there is max_entries <count>", name)
		}
		return lines.Count(d, &m.MaxEntries)
	})
}

var (
	_ Module                = (*Memory)(nil)
	_ caddy.Validator       = (*Memory)(nil)
	_ caddyfile.Unmarshaler = (*Memory)(nil)
)
