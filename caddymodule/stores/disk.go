package stores

import (
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/lines"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

func init() {
	caddy.RegisterModule((*Disk)(nil))
}

// Disk remembers events in files of this machine, without any server. It
// survives reloads of the configuration and the end of the process, however it
// ends: an event is on the disk, synced, before its sender gets a 2xx.
//
// One process at a time uses a directory. If the directory is in use, cannot be
// written or is damaged, the gateway refuses to start and says why.
type Disk struct {
	// The directory, which the store has to itself. It is made where it is
	// missing. May hold placeholders such as `{env.STATE_DIRECTORY}`. Default:
	// `webhook_guard` in Caddy's data directory.
	Dir string `json:"dir,omitempty"`

	dir string
}

// CaddyModule implements caddy.Module.
func (*Disk) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "webhook_guard.stores.disk",
		New: func() caddy.Module { return new(Disk) },
	}
}

// Provision implements caddy.Provisioner. It touches no file: `caddy validate`
// runs while another process has the store open.
func (s *Disk) Provision(caddy.Context) error {
	var err error
	// Not expanded: braces in the name of a home directory are literal.
	dir := filepath.Join(caddy.AppDataDir(), "webhook_guard")
	if s.Dir != "" {
		if dir, err = placeholder.Resolve(s.Dir); err != nil {
			return fmt.Errorf("disk: dir: %w", err)
		}
	}
	if s.dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("disk: dir: %w", err)
	}
	return nil
}

// PoolKey implements [Module].
func (s *Disk) PoolKey() string { return "disk:" + s.dir }

// Open implements [Module].
func (s *Disk) Open() (dedupe.Store, error) {
	return disk.Open(disk.Options{Dir: s.dir})
}

// Inboxes implements [Inboxer].
func (s *Disk) Inboxes(dedupe.Store) (inbox.Store, error) {
	return &diskInboxes{dir: filepath.Join(s.dir, "inbox")}, nil
}

// Adopt implements [Module]: the directory is the key.
func (*Disk) Adopt(dedupe.Store) {}

// Place implements [Placer].
func (s *Disk) Place() string { return s.dir }

// UnmarshalCaddyfile sets up the store from Caddyfile tokens:
//
//	disk [<dir>]
func (s *Disk) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		if s.Dir = d.Val(); s.Dir == "" {
			return d.Errf("store disk: the directory is empty: name one, or leave it out for the default")
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return lines.Each(d, func(name string) error {
		return d.Errf("unknown line %q of store disk: the directory stands on its first line, store disk <dir>", name)
	})
}

var (
	_ Module                = (*Disk)(nil)
	_ Inboxer               = (*Disk)(nil)
	_ Placer                = (*Disk)(nil)
	_ caddy.Provisioner     = (*Disk)(nil)
	_ caddyfile.Unmarshaler = (*Disk)(nil)
)
