package caddymodule

import (
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

func init() {
	caddy.RegisterModule((*DiskStore)(nil))
}

// DiskStore remembers events in files of this machine, without any server. It
// survives reloads of the configuration and the end of the process, however it
// ends: an event is on the disk, synced, before its sender gets a 2xx.
//
// One process at a time uses a directory. Where it is in use, cannot be written
// or is damaged, the gateway does not start, and says what to do.
type DiskStore struct {
	// The directory, which the store has to itself. It is made where it is
	// missing. May hold placeholders such as `{env.STATE_DIRECTORY}`. Default:
	// `webhook_guard` in Caddy's data directory.
	Dir string `json:"dir,omitempty"`

	dir string
}

// CaddyModule implements caddy.Module.
func (*DiskStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "webhook_guard.stores.disk",
		New: func() caddy.Module { return new(DiskStore) },
	}
}

// Provision implements caddy.Provisioner. It touches no file: `caddy validate`
// runs while another process has the store open.
func (s *DiskStore) Provision(caddy.Context) error {
	dir, err := caddy.NewReplacer().ReplaceOrErr(s.Dir, true, true)
	if err != nil {
		return fmt.Errorf("disk: dir: %w", err)
	}
	if s.Dir == "" { // not expanded: braces in a home's name are only that
		dir = filepath.Join(caddy.AppDataDir(), "webhook_guard")
	}
	if s.dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("disk: dir: %w", err)
	}
	return nil
}

// PoolKey implements StoreModule.
func (s *DiskStore) PoolKey() string { return "disk:" + s.dir }

// Open implements StoreModule.
func (s *DiskStore) Open() (dedupe.Store, error) {
	return dedupe.OpenDisk(dedupe.DiskOptions{Dir: s.dir})
}

// Adopt implements StoreModule: the directory is the key.
func (*DiskStore) Adopt(dedupe.Store) {}

// Place tells the log where the events are.
func (s *DiskStore) Place() string { return s.dir }

// UnmarshalCaddyfile sets up the store from Caddyfile tokens:
//
//	disk [<dir>]
func (s *DiskStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		if s.Dir = d.Val(); s.Dir == "" {
			return d.Errf("store disk: the directory is empty: name one, or leave it out for the default")
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return eachLine(d, func(name string) error {
		return d.Errf("unknown line %q of store disk: the directory stands on its first line, store disk <dir>", name)
	})
}

var (
	_ StoreModule           = (*DiskStore)(nil)
	_ caddy.Provisioner     = (*DiskStore)(nil)
	_ caddyfile.Unmarshaler = (*DiskStore)(nil)
)
